"""Calling a pullback: how its answers are compared, the rounding in them, and whether it is linear.

What a pullback returns says little about the numbers that it went through: the 1/sqrt(eps) of a
layer norm multiplies the rounding of a difference that is zero, a saturated softmax subtracts
numbers that are equal to the last digit. So before a small difference between two answers counts,
inputs and cotangent are moved in their last digits, and how far the answer then moves is its noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.arrays import index_at, signed

ROUNDED, ROUNDED_SINGLE = 1e-12, 1e-4
"""Shares by which float64 and narrower cotangents may differ in any case."""
TINIEST = 1e-300
"""So that zeros agree with zeros."""

Parts = list[Array | None]


@dataclass(frozen=True)
class Breach:
    """A law that a pullback breaks. slot: the input concerned, None for the op as a whole."""

    code: str
    message: str
    slot: int | None = None
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    advice: str | None = None


def copies(values: Sequence[Any]) -> list[Any]:
    return [np.array(v) if isinstance(v, np.ndarray) else v for v in values]


def pulled(pullback: Callable[[Array], Parts], g: Array) -> Parts:
    with np.errstate(all="ignore"):
        return [None if p is None else np.array(p) for p in pullback(g)]


def typical(value: Any) -> float:
    return max(size_of(np.asarray(value)), TINIEST) if isinstance(value, np.ndarray) else 1.0


def size_of(part: Array) -> float:
    finite = np.abs(part[np.isfinite(part)])
    return float(finite.max()) if finite.size else 0.0


def gap_between(
    got: Parts, expected: Parts, relative: float, scales: Sequence[float] | None = None
) -> tuple[int, tuple[int, ...], float, float] | None:
    """(slot, index, got, expected) of the worst difference, or None when all agree."""
    for slot, (part, want) in enumerate(zip(got, expected)):
        if part is None or want is None:
            if (part is None) != (want is None):
                present = part if want is None else want
                if present is not None and np.any(present):
                    return slot, (0,) * present.ndim, 0.0, 0.0
            continue
        if part.shape != want.shape:
            return slot, (0,) * part.ndim, 0.0, 0.0
        if not part.size:
            continue
        scale = size_of(want) if scales is None else scales[slot]
        eps = ROUNDED if part.dtype == np.float64 else ROUNDED_SINGLE
        with np.errstate(all="ignore"):
            apart = np.abs(part - want)
            fine = (apart <= max(relative, eps) * scale + TINIEST) | (part == want)
            fine |= ~np.isfinite(want)
        if not fine.all():
            flat = int(np.argmax(np.where(fine, -1.0, apart)))
            index = index_at(flat, part.shape)
            return slot, index, float(part[index]), float(want[index])
    return None


# --- the rounding in an answer ------------------------------------------------------------------

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


WINDOW, SPACES = 2.0**-4, 24
"""Width of the line of points that the resolution of a forward is measured on, as a share of each
entry, and their number. A smooth function leaves 1e-14 of its size in sixth differences there."""
SIXTH = 0.6745 * float(np.sqrt(924.0))
"""Median of the sixth difference of unit noise (Hamming 1973)."""
FOLLOWS = 32.0
"""A pullback may round by so many times the resolution of its forward: both have the same dtypes
inside, and a pullback adds up more terms."""


def resolution(call: OpCall, inputs: Sequence[Any], result: Array) -> float:
    """How coarsely the op itself answers, relative to its result: what it rounds away inside.

    About 1e-16 in float64, 2e-8 in float32, 1e-3 in bfloat16, whatever dtype the result has. A few
    kinks do no harm. Zero where the op does not run nearby.
    """
    rng = np.random.default_rng(0)
    directions = [signed(rng, v.shape) if _floats(v) else None for v in inputs]
    values = []
    try:
        for k in range(SPACES + 1):
            t = WINDOW * k / SPACES
            moved = [v if d is None else v * (1.0 + t * d) for v, d in zip(inputs, directions)]
            with np.errstate(all="ignore"):
                values.append(np.asarray(call.run(moved), dtype=np.float64).reshape(-1))
    except Exception:  # a probe of ours: what it raises is unknown, not a fault
        return 0.0
    if any(v.shape != (result.size,) for v in values):
        return 0.0
    stack = np.stack(values)
    moves = np.isfinite(stack).all(axis=0) & (np.ptp(stack, axis=0) > 0)
    size = size_of(result)
    if not moves.any() or not size:
        return 0.0
    noise = np.median(np.abs(np.diff(stack[:, moves], 6, axis=0)), axis=0) / SIXTH
    return float(np.median(noise / np.abs(stack[:, moves]).max(axis=0)))


def _floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def spread_nearby(
    call: OpCall, inputs: Sequence[Any], cotangent: Array, rng: np.random.Generator
) -> list[float]:
    """By input how far the answers at nearby points lie apart from each other, `MARGIN` included.
    The point itself is not among them: a fault at one value only is no rounding."""
    seen: list[Parts] = []
    for _ in range(CALLS):
        try:
            _, pullback = call.vjp([_nearby(v, rng) for v in inputs])
            seen.append(pulled(pullback, cotangent.copy()))
        except Exception:  # a probe of ours: what it raises is unknown, not a fault
            continue
    found = [0.0] * len(inputs)
    for slot, parts in enumerate(zip(*seen)):
        known = [p for p in parts if p is not None]
        if len(known) > 1:
            found[slot] = MARGIN * size_of(np.ptp(np.stack(known), axis=0))
    return found


def _nearby(value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    away = rng.uniform(-ROUNDINGS, ROUNDINGS, value.shape)
    moved = np.where(
        np.isfinite(value), value + value * (float(np.finfo(value.dtype).eps) * away), value
    )
    return np.asarray(moved, dtype=value.dtype)


# --- linear in the cotangent, very large and very small ones included ---------------------------

HUGE, TINY = 2.0**20, 2.0**-30
"""Sizes of the cotangents that linearity is tried with: an op that clips large ones, or drops small
ones, answers differently there."""
LINEAR = 1e-9
"""Share of what is expected by which the answers may differ: the rounding of three pullbacks."""
CANCELS = 0.1
"""Share of the largest cotangent times the largest result that may remain of terms that cancel,
with `LINEAR` 1e-10. The gradients of a saturated softmax are only the rounding of larger
numbers, times the size of the scores, a condition of up to 1e5. One in float32 is off by 6e-8."""
OF_ONE = 1.4e-5
"""The same for a probability less one, both being about 1. With `LINEAR` it is 1.4e-14."""
FEW_DIGITS = 2e-3
"""A pullback that is linear to this is the right formula in a smaller dtype, not a wrong one."""


def check_linear(
    call: OpCall,
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
    # The law is about two answers that are both rounded: by how much is measured, not assumed.
    noise = pullback_noise(call, inputs, cotangent, first, rng)
    tiny = pullback_noise(call, inputs, other, apart, rng)
    scales = [
        s + (abs(a) * n + abs(b) * t) / LINEAR for s, n, t in zip(scales, noise, tiny, strict=True)
    ]
    gap = gap_between(mixed, expected, LINEAR, scales)
    if gap is None:
        return []
    if _digits_lost(gap, scales) and _linear_at_ordinary_size(pullback, cotangent, first, rng):
        return []
    coarse = FOLLOWS * resolution(call, inputs, result)
    if gap_between(mixed, expected, coarse, scales) is None:
        return []
    if coarse > COARSE and _linear_at_ordinary_size(pullback, cotangent, first, rng, coarse):
        return []
    at_zero = pulled(pullback, np.zeros_like(cotangent))
    shown = (gap[0], gap[1], gap[2] / HUGE, gap[3] / HUGE)
    offset = at_zero[gap[0]]
    if offset is not None and np.any(offset) and np.isfinite(offset).all():
        index = index_at(np.argmax(np.abs(offset)), offset.shape)
        return [
            Breach(
                "not_linear",
                "its pullback is not linear in the cotangent: for a cotangent of zeros it "
                "still gives {input} a gradient",
                gap[0],
                index,
                float(offset[index]),
                0.0,
                advice="a pullback only returns products with the cotangent; remove weight decay, "
                "noise and constants",
            )
        ]
    if _only_rounded(mixed[gap[0]], expected[gap[0]], scales[gap[0]]):
        return [
            Breach(
                "not_linear",
                "its pullback rounds: for {input} it is linear in the cotangent to only a few "
                "digits, as if it computed in a smaller dtype than that of its inputs",
                *shown,
                advice="compute the pullback in the dtype of the cotangent, without rounding or "
                "intermediate float16 or float32",
            )
        ]
    return [
        Breach(
            "not_linear",
            "its pullback is not linear in the cotangent: vjp(a*g1 + b*g2) differs from "
            "a*vjp(g1) + b*vjp(g2) for {input}",
            *shown,
            advice="a pullback only multiplies the cotangent g by the Jacobian; do not apply relu, "
            "abs, sign, clip or normalisation to g",
        )
    ]


COARSE = 1e-4
"""A forward as coarse as this goes through float16 or bfloat16; large cotangents do not fit into
float16, and small ones vanish there."""
DIGITS = 1e-5
"""Below this relative difference a pullback may have lost digits to the size of the cotangent."""


def _digits_lost(gap: tuple[int, tuple[int, ...], float, float], scales: Sequence[float]) -> bool:
    slot, _, got, want = gap
    return abs(got - want) <= DIGITS * scales[slot]


def _linear_at_ordinary_size(
    pullback: Callable[[Array], Parts],
    cotangent: Array,
    first: Parts,
    rng: np.random.Generator,
    relative: float = LINEAR,
) -> bool:
    """Whether the law holds for cotangents of the size that training has.

    Some pullbacks are exact for these and lose digits to a huge one: a matrix exponential scales
    and squares a block matrix that the cotangent is a part of.
    """
    other = rng.uniform(-2.0, 2.0, cotangent.shape)
    mixed = pulled(pullback, -3.0 * cotangent + 0.25 * other)
    apart = pulled(pullback, other.copy())
    expected: Parts = [
        None if p is None or q is None else -3.0 * p + 0.25 * q for p, q in zip(first, apart)
    ]
    sizes = [
        0.0 if p is None or q is None else 3.0 * size_of(p) + 0.25 * size_of(q)
        for p, q in zip(first, apart)
    ]
    return gap_between(mixed, expected, max(LINEAR, relative), sizes) is None


def _only_rounded(got: Array | None, want: Array | None, scale: float) -> bool:
    """Whether entries agree to three digits, or overflow: a smaller dtype, not another formula."""
    if got is None or want is None:
        return False
    fits = np.isfinite(got)
    if np.isnan(got).any() or not (fits.any() or np.isinf(got).all()):
        return False
    return bool(np.max(np.abs(got - want)[fits], initial=0.0) < FEW_DIGITS * scale)
