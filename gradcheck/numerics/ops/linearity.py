"""A pullback is linear in its cotangent, also for very large and very small ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.arrays import index_at
from gradcheck.numerics.ops.breach import Breach, Parts, gap_between, pulled, size_of, typical

HUGE, TINY = 2.0**20, 2.0**-30
"""Sizes of the cotangents that linearity is tried with: an op that clips large ones, or drops small
ones, answers differently there."""
LINEAR = 1e-9
"""Share of what is expected by which the answers may differ: the rounding of three pullbacks."""
CANCELS = 1e-4
"""Share of the largest cotangent times the largest result that may remain of terms that cancel: a
saturated softmax has gradients that are nothing but the rounding of larger numbers."""
OF_ONE = 1.4e-5
"""The same for a probability less one, both being about 1. With `LINEAR` the two shares are 1e-13
and 1.4e-14."""
FEW_DIGITS = 2e-3
"""A pullback that is linear to this is the right formula in a smaller dtype, not a wrong one."""


def check_linear(
    pullback: Callable[[Array], Parts],
    inputs: Sequence[Any],
    result: Array,
    cotangent: Array,
    first: Parts,
    rng: np.random.Generator,
) -> list[Breach]:
    """vjp(a g1 + b g2) = a vjp(g1) + b vjp(g2), for a large g1 and a tiny g2."""
    other = np.where(rng.random(result.shape) < 0.5, -TINY, TINY) * rng.uniform(
        2.0, 8.0, result.shape
    )
    a, b = -3.0 * HUGE, 0.25 * HUGE / TINY
    apart = pulled(pullback, other.copy())
    mixed = pulled(pullback, a * cotangent + b * other)
    expected: Parts = [
        None if p is None or q is None else a * p + b * q for p, q in zip(first, apart)
    ]
    largest = b * size_of(other)
    rounding = CANCELS * largest * size_of(result)
    scales = [
        0.0
        if p is None or q is None
        else -a * size_of(p)
        + b * size_of(q)
        + rounding / typical(v)
        + OF_ONE * largest * min(1.0, typical(v)) ** 2
        for p, q, v in zip(first, apart, inputs)
    ]
    gap = gap_between(mixed, expected, LINEAR, scales)
    if gap is None:
        return []
    at_zero = pulled(pullback, np.zeros_like(cotangent))
    shown = (gap[0], gap[1], gap[2] / HUGE, gap[3] / HUGE)
    offset = at_zero[gap[0]]
    if offset is not None and np.any(offset) and np.isfinite(offset).all():
        index = index_at(np.argmax(np.abs(offset)), offset.shape)
        return [
            Breach(
                "not_linear",
                "its pullback is not linear in the cotangent: for a cotangent of zeros it gives "
                "{input} a gradient all the same",
                gap[0],
                index,
                float(offset[index]),
                0.0,
                advice="everything that a pullback returns is a product with the cotangent; weight "
                "decay, noise or a constant does not belong there",
            )
        ]
    if _only_rounded(mixed[gap[0]], expected[gap[0]], scales[gap[0]]):
        return [
            Breach(
                "not_linear",
                "its pullback rounds: for {input} it is linear in the cotangent to a few digits "
                "only, as if it computed in a smaller dtype than its inputs have",
                *shown,
                advice="compute the pullback in the dtype of the cotangent: no float16 or float32 "
                "in between, no rounding",
            )
        ]
    return [
        Breach(
            "not_linear",
            "its pullback is not linear in the cotangent: vjp(a*g1 + b*g2) differs from "
            "a*vjp(g1) + b*vjp(g2) for {input}",
            *shown,
            advice="a pullback multiplies the cotangent by the Jacobian and does nothing else "
            "to it: no relu, abs, sign, clip or normalisation of g",
        )
    ]


def _only_rounded(got: Array | None, want: Array | None, scale: float) -> bool:
    """Whether entries agree to three digits, or overflow: a smaller dtype, not another formula."""
    if got is None or want is None:
        return False
    fits = np.isfinite(got)
    if np.isnan(got).any() or not (fits.any() or np.isinf(got).all()):
        return False
    return bool(np.max(np.abs(got - want)[fits], initial=0.0) < FEW_DIGITS * scale)
