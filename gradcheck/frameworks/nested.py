"""Tensors inside tuples, lists, dicts, dataclasses and their like: what models take and return."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

IsPart = Callable[[Any], bool]


def parts(value: Any, is_part: IsPart, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, part) for every part in `value`, in order; ('', value) where it is one."""
    if is_part(value):
        yield name, value
        return
    for key, item in _items(value):
        yield from parts(item, is_part, f"{name}.{key}" if name else str(key))


def replaced(value: Any, is_part: IsPart, new: Callable[[str, Any], Any], name: str = "") -> Any:
    """The same structure with `new(name, part)` in the place of every part. Whatever else is in it
    stays as it is; what holds no part is returned itself."""
    if is_part(value):
        return new(name, value)
    items = _items(value)
    if not items:
        return value
    changed = {
        key: replaced(item, is_part, new, f"{name}.{key}" if name else str(key))
        for key, item in items
    }
    if all(changed[key] is item for key, item in items):
        return value
    return _with(value, changed)


def _items(value: Any) -> list[tuple[Any, Any]]:
    """What is in a container, by key, index or field; nothing for anything else."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return []


def _with(value: Any, changed: dict[Any, Any]) -> Any:
    """A container of the same type with these items."""
    if type(value) is dict:
        return changed
    if isinstance(value, (list, tuple)):
        items = list(changed.values())
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    other = copy.copy(value)
    for key, item in changed.items():
        if isinstance(value, Mapping):
            other[key] = item
        else:
            object.__setattr__(other, key, item)  # a frozen dataclass too
    return other
