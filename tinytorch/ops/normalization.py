"""Softmax, layer, RMS and batch normalization, dropout."""

from __future__ import annotations

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._dims import count_from_end, remember_ndim


@op(prepare=count_from_end("dim"))
def softmax(x, dim: int):
    """e^x / sum(e^x) along dim. dL/dx = y (g - sum(g y))."""
    y = np.exp(x - x.real.max(axis=dim, keepdims=True))
    y /= y.sum(axis=dim, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(axis=dim, keepdims=True))


@op(prepare=count_from_end("dim"))
def log_softmax(x, dim: int):
    """log(softmax(x)) along dim. dL/dx = g - softmax(x) sum(g)."""
    y = x - x.real.max(axis=dim, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=dim, keepdims=True))
    return y, lambda g: g - np.exp(y) * g.sum(axis=dim, keepdims=True)


@op
def layer_norm(x, weight=None, bias=None, eps: float = 1e-5, ndim: int = 1):
    """xhat * weight + bias, with xhat = (x - mean) / sqrt(var + eps) over the last `ndim` axes.

    dL/dx = (gw - mean(gw) - xhat mean(gw xhat)) / sqrt(var + eps), gw = g * weight.
    Ba, Kiros and Hinton 2016.
    """
    dims = tuple(range(-ndim, 0))
    _check_fits(x, weight, bias, ndim)
    xhat = x - x.mean(axis=dims, keepdims=True)
    rstd = 1 / np.sqrt((xhat * xhat).mean(axis=dims, keepdims=True) + eps)
    xhat *= rstd
    return _affine(xhat, weight, bias), (
        lambda g: _centred(g if weight is None else g * weight, xhat, rstd, dims),
        lambda g: g * xhat,
        lambda g: g,
    )


def _centred(gw, xhat, rstd, dims):
    """The pullback of (x - mean) / std over dims."""
    gx = gw - gw.mean(axis=dims, keepdims=True)
    gx -= xhat * (gw * xhat).mean(axis=dims, keepdims=True)
    gx *= rstd
    return gx


def _affine(xhat, weight, bias):
    y = xhat if weight is None else xhat * weight
    return y if bias is None else y + bias


def _check_fits(x, weight, bias, ndim: int) -> None:
    for name, w in (("weight", weight), ("bias", bias)):
        if w is not None and w.shape[-ndim:] != x.shape[-ndim:]:
            raise ValueError(f"{name} {w.shape} is not the shape of the last axes of x {x.shape}")


@op
def rms_norm(x, weight=None, eps: float | None = None, ndim: int = 1):
    """x / sqrt(mean(x²) + eps) * weight over the last `ndim` axes; eps is machine epsilon if None.

    dL/dx = (gw - xhat mean(gw xhat)) / rms, gw = g * weight. Zhang and Sennrich 2019.
    """
    dims = tuple(range(-ndim, 0))
    _check_fits(x, weight, None, ndim)
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    scale = 1 / np.sqrt((x * x).mean(axis=dims, keepdims=True) + eps)
    xhat = x * scale

    def to_x(g):
        gw = g if weight is None else g * weight
        return scale * (gw - xhat * (gw * xhat).mean(axis=dims, keepdims=True))

    return _affine(xhat, weight, None), (to_x, lambda g: g * xhat)


@op(prepare=remember_ndim)
def batch_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    training: bool = False,
    eps: float = 1e-5,
    ndim: int | None = None,
):
    """xhat * weight + bias for each channel: x (N, C, ...), everything else (C,).

    xhat = (x - mean) / sqrt(var + eps) with the batch's own moments when `training` (or when no
    running ones are given), else with the running ones, which are constants. The op updates no
    running moments. Ioffe and Szegedy 2015.
    """
    n = x.ndim if ndim is None else ndim
    dims = tuple(d for d in range(-n, 0) if d != 1 - n)  # all but the channels
    tail = (1,) * (n - 2)

    def column(w):
        return w.reshape(*w.shape, *tail)

    if training or running_mean is None:
        if x.ndim == n and np.prod([x.shape[d] for d in dims]) == 1:
            raise ValueError("training needs more than one value for each channel")
        xhat = x - x.mean(axis=dims, keepdims=True)
        rstd = 1 / np.sqrt((xhat * xhat).mean(axis=dims, keepdims=True) + eps)
        xhat *= rstd

        def to_x(g):
            return _centred(g if weight is None else g * column(weight), xhat, rstd, dims)

    else:
        rstd = 1 / np.sqrt(column(running_var) + eps)
        xhat = (x - column(running_mean)) * rstd

        def to_x(g):
            return (g if weight is None else g * column(weight)) * rstd

    y = _affine(
        xhat, None if weight is None else column(weight), None if bias is None else column(bias)
    )
    return y, (
        to_x,
        None,
        None,
        lambda g: (g * xhat).sum(axis=dims),
        lambda g: g.sum(axis=dims),
    )


@op
def dropout(x, mask, p: float = 0.5):
    """x / (1 - p) where the boolean mask holds, 0 elsewhere. The mask is drawn by the caller."""
    scale = 1 / (1 - p) if p < 1 else 0.0
    return x * (mask * x.real.dtype.type(scale)), lambda g: (g * (mask * g.dtype.type(scale)), None)
