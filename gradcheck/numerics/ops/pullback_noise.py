"""How far rounding inside a pullback can move what it returns, measured by calling it nearby.

What a pullback returns says little about the numbers that it went through: the 1/sqrt(eps) of a
layer norm multiplies the rounding of a difference that is zero, a saturated softmax subtracts
numbers that are equal to the last digit. So before a small difference between two answers counts,
inputs and cotangent are moved in their last digits, and how far the answer then moves is its noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.ops.breach import Parts, pulled, size_of

CALLS = 8
"""Nearby points. The largest change among them is the noise, to a small factor."""
ROUNDINGS = 4096.0
"""How far a value is moved, in units of its own last digit: enough that every sum rounds otherwise,
and three decades below what the laws allow."""
MARGIN = 32.0
"""A difference of so many measured noises is still rounding: few calls see a part of it only."""


def pullback_noise(
    call: OpCall, inputs: Sequence[Any], cotangent: Array, first: Parts, rng: np.random.Generator
) -> list[float]:
    """By input the absolute size of a difference that rounding alone may make, `MARGIN` included.

    first: what the pullback returns at `inputs` for `cotangent`. Zero where nothing moved, and for
    inputs without a gradient. A call that is refused measures nothing.
    """
    noise = [0.0] * len(first)
    for _ in range(CALLS):
        try:
            _, pullback = call.vjp([_nearby(v, rng) for v in inputs])
            parts = pulled(pullback, _nearby(cotangent, rng))
        except Exception:  # a probe of ours: what it raises is unknown, not a fault
            continue
        for slot, (part, want) in enumerate(zip(parts, first)):
            if part is not None and want is not None and part.shape == want.shape:
                noise[slot] = max(noise[slot], size_of(part - want))
    return [MARGIN * n for n in noise]


def _nearby(value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    away = rng.uniform(-ROUNDINGS, ROUNDINGS, value.shape)
    moved = value + value * (float(np.finfo(value.dtype).eps) * away)
    return np.asarray(moved, dtype=value.dtype)
