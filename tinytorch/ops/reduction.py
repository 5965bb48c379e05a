"""Reductions over axes `dim` (one, several, or None for all), and cumsum."""

from __future__ import annotations

import math

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._dims import Dims, count_from_end, several_from_end

_over_dims = several_from_end("dim", empty_is_all=True)


def spread(g, dim, keepdim: bool, shape: tuple[int, ...]):
    """A reduced array back to `shape`, repeated along the reduced axes."""
    return np.broadcast_to(_kept(g, dim, keepdim), shape)


def _kept(y, dim, keepdim: bool):
    """A reduced array with its reduced axes as axes of length 1."""
    if keepdim:
        return y
    return y if dim is None else np.expand_dims(y, dim)


def _all(x, dim):
    """dim as axes, where None stands for all of them."""
    return tuple(range(x.ndim)) if dim is None else dim


def _count(shape: tuple[int, ...], dim) -> int:
    if dim is None:
        return math.prod(shape)
    return math.prod(shape[d] for d in (dim if isinstance(dim, tuple) else (dim,)))


@op(prepare=_over_dims)
def sum(x, dim: Dims = None, keepdim: bool = False):
    """Sum over `dim`."""
    shape = x.shape
    return x.sum(axis=dim, keepdims=keepdim), lambda g: spread(g, dim, keepdim, shape)


@op(prepare=_over_dims)
def mean(x, dim: Dims = None, keepdim: bool = False):
    """Mean over `dim`."""
    shape, n = x.shape, _count(x.shape, dim)
    return x.mean(axis=dim, keepdims=keepdim), lambda g: spread(g / n, dim, keepdim, shape)


@op(prepare=_over_dims)
def var(x, dim: Dims = None, correction: int = 1, keepdim: bool = False):
    """Sum of (x - mean)² over `dim`, divided by the count less `correction`."""
    n = _count(x.shape, dim) - correction
    d = x - x.mean(axis=dim, keepdims=True)
    share = 1 / n if n > 0 else math.inf  # one value and correction 1: 0 * inf is NaN
    y = (d * d).sum(axis=dim, keepdims=keepdim) * share
    return y, lambda g: _kept(g, dim, keepdim) * (2 * share) * d


def _shared(g, y, x, dim, keepdim: bool):
    """g to the entries of x that equal the extreme y, in equal parts."""
    hits = x == _kept(y, dim, keepdim)
    share = _kept(g, dim, keepdim) / hits.sum(axis=dim, keepdims=True).astype(g.dtype)
    return np.where(hits, share, np.zeros((), g.dtype))


@op(name="max", prepare=_over_dims)
def amax(x, dim: Dims = None, keepdim: bool = False):
    """Largest entry over `dim`; equal ones share the gradient evenly."""
    y = x.max(axis=dim, keepdims=keepdim)
    return y, lambda g: _shared(g, y, x, dim, keepdim)


@op(name="min", prepare=_over_dims)
def amin(x, dim: Dims = None, keepdim: bool = False):
    """Smallest entry over `dim`; equal ones share the gradient evenly."""
    y = x.min(axis=dim, keepdims=keepdim)
    return y, lambda g: _shared(g, y, x, dim, keepdim)


@op(prepare=_over_dims)
def logsumexp(x, dim: Dims, keepdim: bool = False):
    """log(sum(e^x)) over `dim`, without overflow. Its gradient is the softmax, e^(x - y)."""
    m = x.real.max(axis=dim, keepdims=True)
    m = np.where(np.isfinite(m), m, np.zeros((), m.dtype))
    with np.errstate(divide="ignore"):  # log(0) = -inf where every entry is
        kept = np.log(np.exp(x - m).sum(axis=dim, keepdims=True)) + m
    y = kept if keepdim else np.squeeze(kept, _all(x, dim))
    return y, lambda g: _kept(g, dim, keepdim) * np.exp(x - kept)


@op(prepare=count_from_end("dim"))
def cumsum(x, dim: int):
    """Running sum along `dim`. The pullback runs from the other end."""
    y = np.cumsum(x, axis=dim, dtype=x.dtype)
    return y, lambda g: np.flip(np.cumsum(np.flip(g, dim), axis=dim), dim)
