"""Pooling over windows of the last two axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._windows import Sizes, as_tuple, fold, unfold


@op
def max_pool2d(
    x,
    kernel_size: int | Sizes,
    stride: int | Sizes | None = None,
    padding: int | Sizes = 0,
    dilation: int | Sizes = 1,
    ceil_mode: bool = False,
):
    """Largest entry of each window, x (..., H, W); of equal ones the first gets the gradient."""
    kernel, steps, gaps = _sizes(kernel_size, stride, dilation)
    shape, pads = x.shape, _pads(x.shape, kernel, steps, padding, gaps, ceil_mode)
    padded = np.pad(x, pads, constant_values=-np.inf) if np.any(pads) else x
    windows, positions = unfold(padded, kernel, steps, gaps)
    windows = windows.reshape(*shape[:-2], math.prod(kernel), *positions)
    first = windows.argmax(axis=-3)[..., None, :, :]
    y = np.take_along_axis(windows, first, axis=-3)[..., 0, :, :]
    padded_shape, columns_shape = padded.shape, windows.shape

    def pullback(g):
        columns = np.zeros(columns_shape, g.dtype)
        np.put_along_axis(columns, first, g[..., None, :, :], axis=-3)
        columns = columns.reshape(*shape[:-2], *kernel, *positions)
        return _inside(fold(columns, padded_shape, kernel, steps, gaps), pads, shape)

    return y, pullback


@op
def avg_pool2d(
    x,
    kernel_size: int | Sizes,
    stride: int | Sizes | None = None,
    padding: int | Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
):
    """Mean of each window, x (..., H, W); padding counts as zeros unless told otherwise."""
    kernel, steps, gaps = _sizes(kernel_size, stride, 1)
    shape, pads = x.shape, _pads(x.shape, kernel, steps, padding, gaps, ceil_mode)
    windows, positions = unfold(np.pad(x, pads), kernel, steps, gaps)
    p = as_tuple(padding, 2)
    border = [(n, n) for n in p] if count_include_pad else [(0, 0), (0, 0)]
    counted = np.pad(np.ones(shape[-2:], x.real.dtype), border, constant_values=1)
    # the rest of the padding (all of it, or what ceil_mode added) is not counted
    counted = np.pad(counted, [(a - c, b - d) for (a, b), (c, d) in zip(pads[-2:], border)])
    share = 1 / unfold(counted, kernel, steps, gaps)[0].sum(axis=(0, 1))
    padded_shape = tuple(a + n + b for n, (a, b) in zip(shape, pads))

    def pullback(g):
        g = (g * share)[..., None, None, :, :]
        columns = np.broadcast_to(g, (*shape[:-2], *kernel, *positions))
        return _inside(fold(columns, padded_shape, kernel, steps, gaps), pads, shape)

    return windows.sum(axis=(-4, -3)) * share, pullback


def _sizes(kernel_size: Any, stride: Any, dilation: Any) -> tuple[Sizes, Sizes, Sizes]:
    """The stride is the kernel when not given."""
    kernel = as_tuple(kernel_size, 2)
    return kernel, kernel if stride is None else as_tuple(stride, 2), as_tuple(dilation, 2)


def _pads(
    shape: Sizes, kernel: Sizes, stride: Sizes, padding: Any, dilation: Sizes, ceil_mode: bool
) -> list[tuple[int, int]]:
    """(before, after) for each axis of x. With ceil_mode, room for a last window that begins inside
    x or the padding before it.
    """
    pads = [(0, 0)] * (len(shape) - 2)
    for n, k, s, p, d in zip(shape[-2:], kernel, stride, as_tuple(padding, 2), dilation):
        if 2 * p > k:
            raise ValueError(f"padding {p} must be at most half of the kernel {k}")
        span = d * (k - 1) + 1
        extra = 0
        if ceil_mode:
            windows = -((span - n - 2 * p) // s) + 1
            if (windows - 1) * s >= n + p:
                windows -= 1
            extra = max((windows - 1) * s + span - n - 2 * p, 0)
        pads.append((p, p + extra))
    return pads


def _inside(padded, pads: list[tuple[int, int]], shape: Sizes):
    return padded[tuple(slice(a, a + n) for (a, _), n in zip(pads, shape))]
