"""A module's state as a flat dictionary of tensors, out and in again."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinytorch.errors import TinytorchError
from tinytorch.tensor import Tensor

if TYPE_CHECKING:
    from tinytorch.nn.module import Module

StateDict = dict[str, Tensor]


class StateDictError(TinytorchError, RuntimeError):
    """A state_dict does not fit the module it is loaded into."""


class LoadedKeys(NamedTuple):
    """What load_state_dict did not find in the state_dict, and what it did not need of it."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def state_of(module: Module, prefix: str = "") -> StateDict:
    """Dotted name -> a detached tensor that shares the array."""
    return {prefix + name: t.detach() for name, t in _targets(module).items()}


def _targets(module: Module) -> dict[str, Tensor]:
    """The parameters and persistent buffers under every name they have, module by module."""
    from tinytorch.nn.parameter import Parameter

    found: dict[str, Tensor] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        dot = f"{path}." if path else ""
        found.update((dot + name, p) for name, p in part._own(Parameter))
        found.update((dot + name, b) for name, b in part._own_buffers() if part._buffer_names[name])
    return found


def load_into(module: Module, state: Mapping[str, Any], strict: bool) -> LoadedKeys:
    """Copy values over, all or nothing. See Module.load_state_dict."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict needs a dict from names to tensors, got {type(state).__name__}"
        )
    targets = _targets(module)
    keys = LoadedKeys(
        [name for name in targets if name not in state],
        [name for name in state if name not in targets],
    )
    problems = []
    if strict:
        problems += [_missing(name, keys.unexpected_keys) for name in keys.missing_keys]
        problems += [f"unexpected {name!r}: no such parameter" for name in keys.unexpected_keys]
    values: dict[str, NDArray[Any]] = {}
    for name, target in targets.items():
        if name in state:
            value = state[name]
            values[name] = value._data if isinstance(value, Tensor) else np.asarray(value)
            if values[name].shape != target.shape:
                problems.append(
                    f"{name!r} has shape {values[name].shape} in the state_dict, "
                    f"{target.shape} in the module"
                )
    if problems:
        advice = " (strict=False ignores names that do not fit)" if strict else ""
        raise StateDictError(
            f"this state_dict does not fit {type(module).__name__}; nothing was loaded{advice}:\n  "
            + "\n  ".join(problems)
        )
    for name, value in values.items():
        targets[name]._data[...] = value
    return keys


def _missing(name: str, unexpected: list[str]) -> str:
    near = difflib.get_close_matches(name, unexpected, n=1)
    return f"missing {name!r}" + (f" (the state_dict has {near[0]!r})" if near else "")
