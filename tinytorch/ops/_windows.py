"""Sliding windows over the last axes of an array, and their adjoint."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sizes = tuple[int, ...]
Pairs = list[tuple[int, int]]


def as_tuple(value: Any, n: int) -> Sizes:
    """An int for all n axes, or one for each."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) == 1:
        values *= n
    if len(values) != n:
        raise ValueError(f"{value!r} must be one number or {n}")
    return values


def pad_pairs(padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Pairs:
    """(before, after) for each axis. 'same' keeps the length, with the odd one after."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError("padding='same' needs stride 1")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return [(t // 2, t - t // 2) for t in totals]
    return [(p, p) for p in as_tuple(padding, len(kernel))]


def unfold(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Array, Sizes]:
    """(..., *kernel, *positions), a view of x (..., *space), and the number of positions.

    Raises ValueError where the window is larger than the space.
    """
    n = len(kernel)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))
    space = x.shape[x.ndim - n :]
    if any(span > size for span, size in zip(spans, space)):
        raise ValueError(f"a window of {spans} does not fit into {space}")
    axes = tuple(range(-n, 0))
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, axes)  # (..., *places, *spans)
    every: Any = tuple(slice(None, None, s) for s in stride + dilation)
    windows = windows[(..., *every)]
    lead = x.ndim - n
    order = (*range(lead), *range(lead + n, lead + 2 * n), *range(lead, lead + n))
    return windows.transpose(order), windows.shape[lead : lead + n]


def fold(columns: Array, shape: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The adjoint of `unfold`: every entry of `columns` added where it was read from."""
    n = len(kernel)
    positions = columns.shape[columns.ndim - n :]
    x = np.zeros(shape, columns.dtype)
    for offset, where in places(kernel, stride, dilation, positions):
        column: Any = (..., *offset, *(slice(None),) * n)
        x[where] += columns[column]
    return x


def places(
    kernel: Sizes, stride: Sizes, dilation: Sizes, positions: Sizes
) -> Iterator[tuple[Sizes, tuple[Any, ...]]]:
    """For each entry of the kernel, where in x it was read at all positions."""
    for offset in itertools.product(*(range(k) for k in kernel)):
        slices = (
            slice(o * d, o * d + s * (p - 1) + 1, s)
            for o, d, s, p in zip(offset, dilation, stride, positions)
        )
        yield offset, (..., *slices)
