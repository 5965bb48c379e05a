"""Losses. `reduction` is 'mean', 'sum' or 'none', as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._dims import remember_ndim


def _last(ndim: int | None) -> tuple[int, ...] | None:
    """The last ndim axes (None: all): those that a loss is averaged over."""
    return None if ndim is None else tuple(range(-ndim, 0))


def _reduce(loss, reduction: str, ndim: int | None, divisor: Any = None) -> tuple[Any, Any]:
    """(the reduced loss, the factor that takes the cotangent back to each entry of `loss`)."""
    if reduction == "none":
        return loss, lambda g: g
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it must be 'mean', 'sum' or 'none'")
    dims = _last(ndim)
    total = loss.sum(axis=dims)
    if reduction == "sum":
        scale = loss.real.dtype.type(1)
    else:
        n = loss.real.dtype.type(loss.size / max(total.size, 1) if divisor is None else divisor)
        scale = 1 / n if n else n  # nothing to average over: the loss is NaN, its gradient 0
        with np.errstate(invalid="ignore"):
            total = total / n
    return total, lambda g: (g if dims is None else np.expand_dims(g, dims)) * scale


@op(prepare=remember_ndim)
def mse_loss(input, target, reduction: str = "mean", ndim: int | None = None):
    """(input - target)²."""
    d = input - target
    y, back = _reduce(d * d, reduction, ndim)
    return y, (lambda g: back(g) * 2 * d, lambda g: back(g) * -2 * d)


@op(prepare=remember_ndim)
def l1_loss(input, target, reduction: str = "mean", ndim: int | None = None):
    """|input - target|; the gradient where they are equal is 0."""
    d = input - target
    y, back = _reduce(np.abs(d), reduction, ndim)
    return y, (lambda g: back(g) * np.sign(d), lambda g: -back(g) * np.sign(d))


@op(prepare=remember_ndim)
def huber_loss(input, target, reduction: str = "mean", delta: float = 1.0, ndim: int | None = None):
    """d²/2 where |d| <= delta, delta (|d| - delta/2) elsewhere, with d = input - target."""
    d = input - target
    a = np.abs(d)
    y, back = _reduce(np.where(a <= delta, 0.5 * d * d, delta * (a - 0.5 * delta)), reduction, ndim)
    return y, (
        lambda g: back(g) * np.clip(d, -delta, delta),
        lambda g: -back(g) * np.clip(d, -delta, delta),
    )


@op(prepare=remember_ndim)
def binary_cross_entropy_with_logits(
    input,
    target,
    weight=None,
    pos_weight=None,
    reduction: str = "mean",
    ndim: int | None = None,
):
    """-weight (pos_weight t log s(x) + (1 - t) log(1 - s(x))), s the sigmoid, x the input.

    Computed as (1 - t) x + l q with l = 1 + (pos_weight - 1) t and q = log(1 + e^-x), so
    d/dx = (1 - t) - l s(-x) and d/dt = -x + (pos_weight - 1) q. The weights are constants.
    """
    x, t = input, target
    positive = x.real > 0
    e = np.exp(np.where(positive, -x, x))  # e^-|x|
    q = np.log1p(e) - np.where(positive, 0, x)
    tail = np.where(positive, e, 1) / (1 + e)  # s(-x)
    more = 0 if pos_weight is None else pos_weight - 1
    w = 1 if weight is None else weight
    y, back = _reduce(w * ((1 - t) * x + (1 + more * t) * q), reduction, ndim)
    return y, (
        lambda g: back(g) * w * ((1 - t) - (1 + more * t) * tail),
        lambda g: back(g) * w * (more * q - x),
        None,
        None,
    )


@op
def nll_loss(input, target, weight=None, ignore_index: int = -100, reduction: str = "mean"):
    """-weight[t] input[t]: input (N, C, ...) or (C,) of log probabilities, target (N, ...) of ids.

    The mean is weighted: divided by the sum of weight[t]. Targets ignore_index count nowhere.
    """
    axis = -max(target.ndim, 1)
    logp = np.moveaxis(input, axis, -1)  # (N, ..., C)
    w, picked = _weights(logp, target, weight, ignore_index)
    loss = -w * np.take_along_axis(logp, _lifted(picked, logp), axis=-1)[..., 0]
    y, back = _reduce(loss, reduction, target.ndim, w.sum())
    shape = logp.shape

    def pullback(g):
        gx = np.zeros(shape, g.dtype)
        np.put_along_axis(gx, picked[..., None], (-w * back(g))[..., None], axis=-1)
        return np.moveaxis(gx, -1, axis), None, None

    return y, pullback


@op
def cross_entropy(
    input,
    target,
    weight=None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
):
    """-sum_c q[c] log softmax(input)[c]: input (N, C, ...) or (C,), target (N, ...) of class ids.

    q[c] = weight[c] ((1 - s) [c = target] + s / C), s the label smoothing. So
    d/dinput = softmax * sum(q) - q. The mean is divided by the sum of weight[target].
    Targets ignore_index count nowhere. The class weights are constants.
    """
    axis = -max(target.ndim, 1)
    x = np.moveaxis(input, axis, -1)  # (N, ..., C)
    w, picked = _weights(x, target, weight, ignore_index)
    z = x - x.real.max(axis=-1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=-1, keepdims=True)
    log_total = np.log(total)
    hit = np.take_along_axis(z, _lifted(picked, z), axis=-1) - log_total  # (N, ..., 1)
    at_target = (1 - label_smoothing) * w
    loss = -at_target * hit[..., 0]
    sum_q = at_target
    if label_smoothing:
        kept = target != ignore_index
        each = np.full(x.shape[-1], label_smoothing / x.shape[-1], x.real.dtype)  # (C,)
        if weight is not None:
            each = each * weight
        loss = loss - kept * ((z - log_total) * each).sum(axis=-1)
        sum_q = sum_q + kept * each.sum()
    y, back = _reduce(loss, reduction, target.ndim, w.sum())

    def pullback(g):
        g = back(g)
        gx = e * (g * sum_q / total[..., 0])[..., None]
        if label_smoothing:
            gx -= (g * kept)[..., None] * each
        at = picked[..., None]
        entry = np.take_along_axis(gx, at, axis=-1) - (g * at_target)[..., None]
        np.put_along_axis(gx, at, entry, axis=-1)
        return np.moveaxis(gx, -1, axis), None, None

    return y, pullback


def _weights(x, target, weight, ignore_index: int) -> tuple[Any, Any]:
    """(the weight of each target, 0 where ignored; the targets with ignored ones as class 0)."""
    if target.dtype.kind not in "iu":
        raise ValueError(f"target must hold class ids (integers), got {target.dtype}")
    kept = target != ignore_index
    picked = np.where(kept, target, 0)
    n = x.shape[-1]
    if x.shape[x.ndim - 1 - target.ndim : -1] != target.shape:
        raise ValueError("input must be (N, C, ...) and target (N, ...)")
    if picked.size and (picked.min() < 0 or picked.max() >= n):
        raise IndexError(f"target runs from {picked.min()} to {picked.max()}, but C is {n}")
    w = kept.astype(x.real.dtype)
    return w if weight is None else w * weight[picked], picked


def _lifted(picked, x):
    """Targets as an index for take_along_axis into x (..., N, ..., C)."""
    return picked.reshape((1,) * (x.ndim - 1 - picked.ndim) + picked.shape + (1,))
