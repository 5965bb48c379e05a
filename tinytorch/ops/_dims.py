"""Axes counted from the end.

A recorded op can be run again on arrays with extra leading axes (many perturbed copies at once), so
what it records must not depend on how many axes come first. The functions here are `prepare` hooks
of ops: they rewrite the attributes once, when the op is called, before anything is recorded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Prepare = Callable[[Sequence[Any], dict[str, Any]], None]
Dims = int | tuple[int, ...] | None
"""One axis, several, or None for all of them."""


def negative(dim: int, ndim: int) -> int:
    """`dim` of an array with `ndim` axes, counted from the end. Raises IndexError out of range,
    TypeError for what is no integer."""
    try:
        dim = operator.index(dim)
    except TypeError:
        raise TypeError(f"dim must be an integer, got {dim!r}") from None
    rank = max(ndim, 1)  # as PyTorch: a scalar accepts 0 and -1
    if not -rank <= dim < rank:
        raise IndexError(f"dim {dim} is out of range for {ndim} axes")
    return dim if dim < 0 else dim - rank


def negatives(dims: Any, ndim: int) -> tuple[int, ...]:
    """Several axes (an int is one, None is all). Raises ValueError when one is named twice."""
    if dims is None:
        return tuple(range(-ndim, 0))
    if not isinstance(dims, (tuple, list)):
        dims = (dims,)
    if ndim == 0:
        for dim in dims:
            negative(dim, 0)
        return ()
    result = tuple(negative(d, ndim) for d in dims)
    if len(set(result)) != len(result):
        raise ValueError(f"dims {tuple(dims)} name an axis twice")
    return result


def count_from_end(*names: str, new: int = 0) -> Prepare:
    """Hook: attributes `names` hold one axis each; `new` counts axes that the op adds."""

    def prepare(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
        ndim = np.ndim(arrays[0]) + new
        for name in names:
            if name in attrs:
                attrs[name] = negative(attrs[name], ndim)

    return prepare


def several_from_end(name: str, empty_is_all: bool = False) -> Prepare:
    """Hook: attribute `name` holds axes, and None, or its absence, means all of them."""

    def prepare(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
        dims = attrs.get(name)
        if empty_is_all and isinstance(dims, (tuple, list)) and not dims:
            dims = None
        attrs[name] = negatives(dims, np.ndim(arrays[0]))

    return prepare


def remember_ndim(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    """Hook: record how many axes the widest input has now, as attribute `ndim`."""
    attrs["ndim"] = max(np.ndim(a) for a in arrays if a is not None)
