"""Optimizer: parameter groups, per-parameter state, and saving both."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.errors import TinytorchError
from tinytorch.grad_mode import enable_grad
from tinytorch.tensor import Tensor

Array = NDArray[Any]
Group = dict[str, Any]

CHUNK = 16 * 1024
"""Entries that an update handles at a time: what it reads and writes then stays in the cache."""


class OptimizerError(TinytorchError, ValueError):
    """An optimizer was given parameters, options or gradients that it cannot work with."""


class Optimizer:
    """Base of all optimizers. A subclass defines `update(group, param, grad, state)`.

    params: Tensors, (name, Tensor) pairs as from `named_parameters()`, or dicts
    `{"params": [...], "lr": ...}`, one for each group with options of its own. `defaults` holds the
    options of groups that give none. `param_groups` is a list of dicts; `state[p]` a dict.

    Raises OptimizerError (a ValueError) for an empty list, a parameter listed twice, one that is
    not floating or not a leaf, and TypeError for what is no Tensor.
    """

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, (Tensor, str, bytes)) or not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__} takes a list of Tensors or of groups, got "
                f"{type(params).__name__}; for one tensor write [tensor]"
            )
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        given = list(params)
        if not given:
            raise OptimizerError(
                f"{type(self).__name__} got an empty list of parameters; a generator such as "
                "model.parameters() is empty after its first use, and a model that keeps its "
                "layers in a plain list has none (use ModuleList)"
            )
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    # --- groups -----------------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add `{"params": [...], options...}`; options left out take the defaults."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(
                f"a parameter group must be a dict with the key 'params', got {param_group!r}"
            )
        unknown = set(param_group) - {"params", "initial_lr", *self.defaults}
        if unknown:
            raise OptimizerError(
                f"{type(self).__name__} has no option {sorted(unknown)[0]!r}; it has "
                f"{', '.join(self.defaults)}"
            )
        params = param_group["params"]
        listed = [params] if isinstance(params, Tensor) else list(params)
        group = {**self.defaults, **param_group}
        group["params"] = []
        seen = {id(p) for _, p in self._all()}
        for place, item in enumerate(listed):
            name, p = item if isinstance(item, tuple) and len(item) == 2 else ("", item)
            what = f"parameter {name!r}" if name else f"parameter {place}"
            what += f" of group {len(self.param_groups)}"
            if not isinstance(p, Tensor):
                raise TypeError(f"{what} must be a Tensor, got {type(p).__name__}")
            if not p.is_floating_point():
                raise OptimizerError(
                    f"{what} holds {p.dtype}; only floating tensors can be optimized, so cast it "
                    "or leave it out"
                )
            if p.node is not None:
                raise OptimizerError(
                    f"{what} is the result of op {p.node.op.name}, not a leaf; the optimizer must "
                    "be given the tensors it was computed from"
                )
            if id(p) in seen:
                raise OptimizerError(
                    f"{what} (shape {p.shape}) is listed twice and would be moved twice; "
                    "named_parameters() lists a tied parameter once"
                )
            seen.add(id(p))
            group["params"].append(p)
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: Group) -> None:
        """Raise OptimizerError for options that make no sense. Subclasses extend it."""
        for name in ("lr", "eps", "weight_decay", "momentum"):
            value = group.get(name, 0)
            if isinstance(value, str) or not value >= 0:
                raise OptimizerError(f"{type(self).__name__} needs {name} >= 0, got {value!r}")

    def _all(self) -> Iterator[tuple[int, Tensor]]:
        """(running number over all groups, parameter)."""
        return enumerate(p for group in self.param_groups for p in group["params"])

    # --- a step -----------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or fill them with zeros)."""
        for _, p in self._all():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad[...] = 0

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; the others stay as they are.

        closure: recomputes the loss and its gradients; its result is returned. Raises
        OptimizerError for a gradient whose shape is not its parameter's, before anything moves.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for number, p in self._all():
            if p.grad is not None and np.shape(_array(p.grad)) != p.shape:
                raise OptimizerError(
                    f"the gradient of parameter {number} has shape {np.shape(_array(p.grad))}, the "
                    f"parameter has shape {p.shape}; nothing was changed by this step"
                )
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    grad = _array(p.grad)
                    self.update(group, p, -grad if group.get("maximize") else grad)
        return loss

    def update(self, group: Group, p: Tensor, grad: Array) -> None:
        """Move one parameter in place. `grad` must not be changed: it is the caller's."""
        raise NotImplementedError(f"{type(self).__name__} defines no update()")

    def state_of(self, p: Tensor, *buffers: str) -> dict[str, Any]:
        """The state of `p`, with arrays of zeros like it under these names when it is new."""
        state = self.state.setdefault(p, {})
        for name in buffers:
            if name not in state:
                state[name] = np.zeros_like(p._data)
        return state

    # --- saving -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {...}}, "param_groups": [...]}, parameters replaced by numbers.

        Arrays are shared with the optimizer, as in PyTorch: copy or save before the next step.
        """
        numbers = {id(p): i for i, p in self._all()}
        return {
            "state": {numbers[id(p)]: dict(s) for p, s in self.state.items() if id(p) in numbers},
            "param_groups": [
                {**group, "params": [numbers[id(p)] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over (a copy of) the options and the state, parameter by parameter in order.

        Raises OptimizerError where groups or shapes are not those of this optimizer.
        """
        groups = state_dict["param_groups"]
        theirs, ours = ([len(g["params"]) for g in some] for some in (groups, self.param_groups))
        if theirs != ours:
            raise OptimizerError(
                f"this state is for groups of {theirs} parameters, the optimizer has groups of "
                f"{ours}; build the optimizer over the same parameters first"
            )
        order = [n for g in groups for n in g["params"]]
        by_number = {n: p for n, (_, p) in zip(order, self._all())}
        state: dict[Tensor, dict[str, Any]] = {}
        for number, values in state_dict["state"].items():
            p = by_number[number]
            state[p] = {k: _like(v, p, number, k) for k, v in values.items()}
        self.state = state
        for group, saved in zip(self.param_groups, groups):
            group.update(copy.deepcopy({k: v for k, v in saved.items() if k != "params"}))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k != "params"]
        return "\n".join([*lines, ")"])


def _array(grad: Any) -> Array:
    return grad._data if isinstance(grad, Tensor) else grad


def _like(value: Any, p: Tensor, number: Any, name: str) -> Any:
    """A copy of saved state, in the dtype of the parameter it belongs to."""
    array = value._data if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray):
        return copy.deepcopy(value)
    if array.shape != p.shape:
        raise OptimizerError(
            f"the state {name!r} of parameter {number} has shape {array.shape}, the parameter has "
            f"shape {p.shape}"
        )
    return array.astype(p.dtype)  # always a copy


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Views of arrays of one shape, cut at the same places into chunks that fit the cache.

    Writing to a view writes to its array. Arrays that are not contiguous come whole.
    """
    if not all(a.flags.c_contiguous for a in arrays):
        yield arrays
        return
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, CHUNK):
        yield tuple(a[start : start + CHUNK] for a in flat)
