"""MyGrad's own way of checking an op, on the jobs of `gradient.py`.

The package ships no checker. Its test suite compares each op with the complex-step derivative (step
1e-20) of a NumPy function that does the same, at a relative and an absolute tolerance of 1e-8; that
recipe is followed here. It needs such a function, so there is none for the transformer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from contestants import sampled, smallest_seen
from mygrad.nnet.activations import softmax
from mygrad.operation_base import Operation

STEP, TOLERANCE = 1e-20, 1e-8


def plain_softmax(x: Any) -> Any:
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


SUBJECTS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[int, ...]]] = {
    "sin": (mg.sin, np.sin, (3, 4)),
    "softmax": (lambda x: softmax(x, axis=-1), plain_softmax, (3, 4)),
    "mean": (mg.mean, np.mean, (1000,)),
}


class Spoil(Operation):
    """The identity, with one entry of the gradient off by a relative error."""

    entry: Any = ()
    error = 0.0

    def __call__(self, x: Any) -> Any:
        self.variables = (x,)
        return np.array(x.data)

    def backward_var(self, grad: Any, index: int, **kwargs: Any) -> Any:
        grad = np.array(grad)
        grad[Spoil.entry] *= 1 + Spoil.error
        return grad


def spoiled(x: Any) -> Any:
    return mg.Tensor._op(Spoil, x)


def analytic(fn: Callable[..., Any], x: Any, cotangent: Any) -> Any:
    leaf = mg.tensor(x)
    (fn(leaf) * cotangent).sum().backward()
    return leaf.grad


def numeric(fn: Callable[..., Any], x: Any, cotangent: Any) -> Any:
    """Entry by entry, in complex steps."""
    out = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += STEP * 1j
        out[index] = np.sum(fn(moved).imag / STEP * cotangent)
    return out


def seen(subject: str) -> dict[str, Any]:
    if subject not in SUBJECTS:
        return {"not run": "its recipe needs a complex NumPy function that does the same"}
    fn, plain, shape = SUBJECTS[subject]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    cotangent = rng.standard_normal(np.shape(plain(x)))
    expected = numeric(plain, x, cotangent)

    def wrong(entry: tuple[int, ...], error: float) -> bool:
        Spoil.entry, Spoil.error = entry, error
        found = analytic(lambda v: fn(spoiled(v)), x, cotangent)
        return not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)

    return {"smallest": smallest_seen(wrong, sampled(analytic(fn, x, cotangent)))}
