"""The parameters of an optimizer by name: those of the modules in reach of the line that steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gradcheck.frameworks.protocol import Framework, Leaf
from gradcheck.watch.places import users_frames

MOST_VALUES = 2000
"""Values of a frame or a container that are looked at: a list of samples holds no models."""


@dataclass
class Named:
    """What an optimizer holds. leaves: by name. roots: the modules that gave the names, by the
    name that the script has for them; models: all modules in reach, those without a share too."""

    leaves: dict[str, Leaf] = field(default_factory=dict)
    roots: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)


def name_leaves(
    framework: Framework, is_module: Callable[[Any], bool], held: Iterable[Leaf]
) -> Named:
    """Called while the user's line that steps, or goes back, is running."""
    wanted = {id(leaf): leaf for leaf in held}
    models = dict(_modules(is_module))
    parameters = {name: framework.named_parameters(model) for name, model in models.items()}
    named = Named(models=models)
    missing = set(wanted)

    def share(name: str) -> tuple[int, int]:
        ids = {id(leaf) for leaf in parameters[name].values()}
        return len(ids & missing), -len(ids)

    while missing and parameters:
        best = max(parameters, key=share)
        if share(best)[0] == 0:
            break
        named.roots[best] = models[best]
        for leaf in parameters.pop(best).values():
            missing.discard(id(leaf))
    several = len(named.roots) > 1
    for root, model in named.roots.items():
        for name, leaf in framework.named_parameters(model).items():
            if id(leaf) in wanted and all(leaf is not known for known in named.leaves.values()):
                named.leaves[f"{root}.{name}" if several else name] = leaf
    for number, leaf in enumerate(wanted.values()):
        if id(leaf) in missing:
            named.leaves[_variable(leaf) or f"parameter {number} of the optimizer"] = leaf
    return named


def _modules(is_module: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """(name, module) of every module that the user's frames know, each once, the nearest first."""
    seen: set[int] = set()
    for frame in users_frames():
        for values in (frame.f_locals, frame.f_globals):
            for name, value in list(values.items())[:MOST_VALUES]:
                for found, module in _within(name, value, is_module):
                    if id(module) not in seen:
                        seen.add(id(module))
                        yield found, module


def _within(name: str, value: Any, is_module: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """A module; those of an object of the user's (a Trainer's `model`); those in a container."""
    if isinstance(value, type) or name.startswith("__"):
        return
    if is_module(value):
        yield name, value
        return
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items() if len(value) <= MOST_VALUES else ()
    elif isinstance(value, (list, tuple)):
        inner = enumerate(value) if len(value) <= MOST_VALUES else ()
    elif type(value).__module__.partition(".")[0] not in ("builtins", "numpy", "torch"):
        inner = list(vars(value).items()) if hasattr(value, "__dict__") else ()
    for key, item in list(inner):
        if is_module(item):
            yield (str(key) if not isinstance(key, int) else f"{name}[{key}]"), item


def _variable(leaf: Leaf) -> str | None:
    """What the script calls a tensor that is part of no module."""
    for frame in users_frames():
        for values in (frame.f_locals, frame.f_globals):
            for name, value in list(values.items())[:MOST_VALUES]:
                if value is leaf:
                    return name
                if isinstance(value, (list, tuple)) and len(value) <= MOST_VALUES:
                    for i, item in enumerate(value):
                        if item is leaf:
                            return f"{name}[{i}]"
    return None
