"""Find every tensor on a model, whatever the model calls its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ATOMS = (str, bytes, int, float, complex, bool, type(None))


def walk_leaves(model: Any, tensor_type: type | tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    """(dotted name, tensor) for each tensor reachable from `model` through attributes, lists,
    tuples and dicts: each tensor once, under the first name found, in the order of definition.

    Follows plain objects too, so that a layer kept in a dict or in a dataclass is found. Does not
    follow modules, classes, functions or numpy arrays.
    """
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [("", model)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, _ATOMS) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, tensor_type):
            yield name, value
            continue
        stack.extend(reversed(list(_children(name, value))))


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    prefix = f"{name}." if name else ""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{prefix}{key}", item
    elif isinstance(value, (list, tuple, set, frozenset)):
        for i, item in enumerate(value):
            yield f"{prefix}{i}", item
    elif isinstance(value, type) or _is_function(value) or _foreign(value):
        return
    else:
        for key, item in attributes_of(value):
            # A framework's own book-keeping (`_parameters`, `_modules`) repeats or holds what the
            # user sees under the plain name: pass through it without a name of its own.
            if key in ("_parameters", "_modules") and isinstance(item, dict):
                yield from ((f"{prefix}{k}", v) for k, v in item.items())
            else:
                yield f"{prefix}{key}", item


def _is_function(value: Any) -> bool:
    return callable(value) and hasattr(value, "__code__")


def _foreign(value: Any) -> bool:
    package = type(value).__module__.partition(".")[0]
    return package in ("builtins", "numpy", "types", "re", "random")


def attributes_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Instance attributes: of the `__dict__`, then of the slots."""
    yield from getattr(value, "__dict__", {}).items()
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield slot, getattr(value, slot)
