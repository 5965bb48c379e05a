"""Convolutions (cross-correlations, as in PyTorch) as one matrix product over unfolded windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._windows import as_tuple, fold, pad_pairs, unfold


@op
def conv1d(
    x,
    weight,
    bias=None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
):
    """x (..., C, L), weight (out, C / groups, k), bias (out,) -> (..., out, L')."""
    return _conv(x, weight, bias, stride, padding, dilation, groups, n=1)


@op
def conv2d(
    x,
    weight,
    bias=None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
):
    """x (..., C, H, W), weight (out, C / groups, kh, kw), bias (out,) -> (..., out, H', W')."""
    return _conv(x, weight, bias, stride, padding, dilation, groups, n=2)


def _conv(x, weight, bias, stride, padding, dilation, groups, n: int) -> tuple[Any, Any]:
    """n spatial axes. With columns X (group, C/group * kernel, positions) and weights W as matrix,
    Y = W X, so dX = Wᵀ G, folded back onto the input, and dW = sum over the batch of G Xᵀ.
    """
    stride, dilation = as_tuple(stride, n), as_tuple(dilation, n)
    kernel = weight.shape[2:]
    if weight.ndim != n + 2 or x.ndim < n + 1:
        raise ValueError(f"weight needs {n + 2} axes and x at least {n + 1}")
    out, per_group = weight.shape[:2]
    channels = x.shape[-n - 1]
    if channels != per_group * groups or out % groups:
        raise ValueError(
            f"{channels} channels in {groups} group(s) do not fit a weight for {per_group} "
            f"channels a group and {out} outputs"
        )
    pads = pad_pairs(padding, kernel, stride, dilation)
    lead, space = x.shape[: -n - 1], x.shape[-n:]
    batch = math.prod(lead)
    padded = np.pad(x.reshape(batch, channels, *space), [(0, 0), (0, 0), *pads])
    columns, positions = unfold(padded, kernel, stride, dilation)  # (N, C, *kernel, *positions)
    X = columns.reshape(batch, groups, -1, math.prod(positions))
    W = weight.reshape(groups, out // groups, -1)
    y = np.matmul(W, X).reshape(*lead, out, *positions)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * n)

    def grouped(g):
        return g.reshape(batch, groups, out // groups, -1)

    def to_x(g):
        columns = np.matmul(np.swapaxes(W, 1, 2), grouped(g))
        columns = columns.reshape(batch, channels, *kernel, *positions)
        gx = fold(columns, padded.shape, kernel, stride, dilation)
        inside = tuple(slice(a, a + size) for (a, _), size in zip(pads, space))
        return gx[(..., *inside)].reshape(*lead, channels, *space)

    def to_weight(g):
        return np.matmul(grouped(g), np.swapaxes(X, 2, 3)).sum(axis=0).reshape(weight.shape)

    def to_bias(g):
        return g.reshape(batch, out, -1).sum(axis=(0, 2))

    return y, (to_x, to_weight, to_bias)
