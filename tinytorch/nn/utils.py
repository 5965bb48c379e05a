"""Gradient clipping, and all parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tinytorch.ops import cat
from tinytorch.tensor import Tensor


def _with_grad(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in listed if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients by max_norm / (norm + 1e-6) where their joint norm is above max_norm.

    Returns the norm before clipping, 0.0 without gradients. norm_type: 2, any p > 0, or math.inf.
    Raises ValueError for an infinite or NaN norm if `error_if_nonfinite`.
    """
    grads = [np.asarray(p.grad) for p in _with_grad(parameters)]
    if norm_type == math.inf:
        total = max((float(np.abs(g).max(initial=0)) for g in grads), default=0.0)
    elif norm_type == 2:
        # float64 sums: the squares of a large float32 gradient overflow
        total = math.sqrt(sum(_sum_of_squares(g) for g in grads))
    else:
        powers = (float((np.abs(g.astype(np.float64)) ** norm_type).sum()) for g in grads)
        total = sum(powers) ** (1 / norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise ValueError(
            f"the norm of the gradients is {total}, so they cannot be clipped; look for the step "
            "where they stop being finite"
        )
    scale = max_norm / (total + 1e-6)
    if not scale >= 1:  # also for NaN, which is then in every gradient, as in PyTorch
        for g in grads:
            g *= scale
    return total


def _sum_of_squares(g: np.ndarray) -> float:
    flat = g.reshape(-1)
    with np.errstate(over="ignore"):
        total = float(np.dot(flat, flat))
    if g.dtype != np.float64 and (not math.isfinite(total) or total < 1e-30):
        flat = flat.astype(np.float64)  # float32 over- or underflowed
        total = float(np.dot(flat, flat))
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Every entry of every gradient into [-clip_value, clip_value], in place."""
    for p in _with_grad(parameters):
        assert p.grad is not None
        np.clip(p.grad, -float(clip_value), float(clip_value), out=p.grad)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All entries of all parameters in one vector, in the graph."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the entries of a vector into the parameters, in place.

    Raises ValueError where there are too few or too many entries.
    """
    listed = list(parameters)
    wanted = sum(p.numel() for p in listed)
    if vec.shape != (wanted,):
        raise ValueError(f"the parameters hold {wanted} numbers, the vector has shape {vec.shape}")
    start = 0
    for p in listed:
        p._data[...] = vec._data[start : start + p.numel()].reshape(p.shape)
        start += p.numel()
