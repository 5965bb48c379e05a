"""Recognise common mistakes from the form of a wrong gradient.

Each rule recognises one kind of mistake; the first rule in `RULES` that matches is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradcheck.frameworks.protocol import Array

NOTHING, NEARLY_NOTHING = 1e-12, 1e-9
"""Share of the other gradient that counts as zero: of an analytic one, which is exact, and of a
numeric one, which has rounding in it."""
SAME = 1e-6
"""Two gradients are the same when they differ by at most this share of the largest entry: far more
than the error of a numeric gradient, far less than any mistake that has a name."""
EQUAL = 1e-7
"""An entry is right when it differs by at most this share of the largest entry."""
NOT_ONE = 1e-8
"""A constant factor differs from 1 by more than this."""
RATIO_SHARE = 1e-2
"""A factor is constant when it varies by at most this share of its distance from 1."""
DIGITS = 12
"""Decimals to which tied values are equal."""
MOST_SHIFTS = 8
"""Shifts along an axis that are tried, less one."""


class Diagnosis(NamedTuple):
    """A sentence on what is wrong, and advice; None where there is nothing to say."""

    text: str | None = None
    advice: str | None = None


UNKNOWN = Diagnosis()


@dataclass(frozen=True)
class Gradients:
    """Two gradients of one tensor. mask: entries that are known in both. x: the tensor's values."""

    analytic: Array
    numeric: Array
    mask: Array
    x: Array | None

    @cached_property
    def a(self) -> Array:
        """(known,) analytic entries."""
        return np.asarray(self.analytic[self.mask])

    @cached_property
    def n(self) -> Array:
        """(known,) numeric entries."""
        return np.asarray(self.numeric[self.mask])

    @cached_property
    def size(self) -> float:
        """The largest known entry of either."""
        if not self.a.size:
            return 0.0
        return float(max(np.max(np.abs(self.a)), np.max(np.abs(self.n))))

    @cached_property
    def complete(self) -> bool:
        return bool(self.mask.all())

    @cached_property
    def wrong(self) -> Array:
        """Mask of the wrong entries."""
        return np.asarray(self.mask & (np.abs(self.analytic - self.numeric) > EQUAL * self.size))

    def analytic_is(self, other: Array) -> bool:
        return bool(np.max(np.abs(self.analytic - other)) <= SAME * self.size)


def diagnose(
    analytic: Array, numeric: Array, known: Array | None = None, *, x: Array | None = None
) -> Diagnosis:
    """Diagnose the difference between two gradients of the tensor's shape.

    known: mask of the entries whose numeric value was computed (default all finite ones).
    x: the values of the tensor, to recognise ties.
    """
    mask = np.isfinite(numeric) & np.isfinite(analytic)
    if known is not None:
        mask &= known
    both = Gradients(analytic, numeric, mask, x)
    if both.size == 0.0:
        return UNKNOWN
    return next((found for rule in RULES if (found := rule(both)) is not None), UNKNOWN)


def no_gradient(both: Gradients) -> Diagnosis | None:
    if np.max(np.abs(both.a)) > NOTHING * both.size:
        return None
    return Diagnosis(
        "the analytic gradient is exactly zero: disconnected, or dropped in the backward",
        "return the missing cotangent from the pullback; `graph` names the line of a cut",
    )


def should_be_zero(both: Gradients) -> Diagnosis | None:
    if np.max(np.abs(both.n)) > NEARLY_NOTHING * both.size:
        return None
    return Diagnosis(
        "the true gradient is zero, the analytic one is not",
        "if this backward is meant (straight-through, a spike), declare the formula that it "
        "belongs to under `surrogate:` of this check",
    )


def constant_factor(both: Gradients) -> Diagnosis | None:
    ratio = _constant_ratio(both.a, both.n)
    if ratio is None or abs(ratio - 1.0) <= NOT_ONE:
        return None
    if abs(ratio + 1.0) < SAME:
        return Diagnosis(
            "analytic = -1 x numeric everywhere: the sign is flipped",
            "check the sign; a reversal that is meant is declared under `surrogate:` of this check",
        )
    return Diagnosis(
        f"analytic = {_digits(ratio)} x numeric everywhere: a constant factor{_factor(ratio)}",
        "look for a missing or doubled factor (2 of a square, 1/n of a mean, 1/(1-p) of a "
        "dropout, the square root of a dimension)",
    )


def transposed(both: Gradients) -> Diagnosis | None:
    shape = both.analytic.shape
    if len(shape) < 2 or shape[-1] != shape[-2] or not both.complete:
        return None
    if not both.analytic_is(np.swapaxes(both.numeric, -1, -2)):
        return None
    return Diagnosis("the analytic gradient is the transpose of the numeric one", "transpose it")


def reversed_or_shifted(both: Gradients) -> Diagnosis | None:
    """Recognise the right values in the wrong places along an axis."""
    if not both.complete:
        return None
    size = float(np.max(np.abs(both.numeric)))

    def equals(other: Array) -> bool:
        return bool(np.max(np.abs(both.analytic - other)) <= SAME * size)

    for axis, length in enumerate(both.numeric.shape):
        if length < 3:
            continue
        if equals(np.flip(both.numeric, axis)):
            return Diagnosis(
                f"the analytic gradient is the numeric one in reverse along axis {axis}",
                "reverse the cotangent along this axis",
            )
        for shift in range(1, min(length, MOST_SHIFTS)):
            for by in (shift, -shift):
                if equals(np.roll(both.numeric, by, axis)):
                    return Diagnosis(
                        f"the analytic gradient is the numeric one shifted by {by} along axis "
                        f"{axis}",
                        "the pullback of a shift goes the other way; look at offsets and slices",
                    )
    return None


def at_ties(both: Gradients) -> Diagnosis | None:
    x, wrong = both.x, both.wrong
    if x is None or not wrong.any() or wrong.all():
        return None
    _, inverse, counts = np.unique(np.round(x, DIGITS), return_inverse=True, return_counts=True)
    tied = (counts[inverse] > 1).reshape(x.shape)
    if not tied[wrong].all() or tied[both.mask & ~wrong].any():
        return None
    return Diagnosis(
        "wrong only where values are tied", "share the cotangent among the tied entries"
    )


def constant_offset(both: Gradients) -> Diagnosis | None:
    offset = both.a - both.n
    if offset.size < 3 or float(np.ptp(offset)) > SAME * float(np.max(np.abs(offset))):
        return None
    return Diagnosis(f"analytic = numeric + {offset.mean():.6g} everywhere: a constant is missing")


def some_values(both: Gradients) -> Diagnosis | None:
    """Recognise entries that are wrong on one side of a value of x and right on the other."""
    x, wrong = both.x, both.wrong
    if x is None or wrong.ndim < 1 or not 1 < int(wrong.sum()) < both.mask.sum():
        return None
    region = _region(wrong, both.mask & ~wrong, x)
    if region is None:
        return None
    return Diagnosis(f"wrong only where {region}", "look at the branch of the backward for these")


def one_slice(both: Gradients) -> Diagnosis | None:
    """Recognise errors in only one row, one column or the like."""
    wrong = both.wrong
    if wrong.ndim < 1 or not 0 < int(wrong.sum()) < both.mask.sum():
        return None
    place = _one_slice(wrong)
    if place is None:
        return None
    if "axis 0" in place and not np.any(both.analytic[wrong]):
        return Diagnosis(
            f"wrong only {place}, which gets no gradient at all",
            "an embedding drops the gradient of its padding_idx: mask what is computed from "
            "padding, or give that row a gradient",
        )
    return Diagnosis(f"wrong only {place}", f"look at how the backward treats what lies {place}")


RULES: tuple[Callable[[Gradients], Diagnosis | None], ...] = (
    no_gradient,
    should_be_zero,
    constant_factor,
    transposed,
    reversed_or_shifted,
    at_ties,
    constant_offset,
    some_values,
    one_slice,
)
"""The most specific rules come first."""


def _digits(ratio: float) -> str:
    """The ratio, with enough digits to show that it is not 1."""
    short = f"{ratio:.6g}"
    return short if short != "1" else f"{ratio:.12g}"


def _region(wrong: Array, right: Array, x: Array) -> str | None:
    """'x < 0' and the like, when values on one side are wrong and all others right."""
    if x.shape != wrong.shape or not right.any():
        return None
    for name, values in (("the value is", x), ("the absolute value is", np.abs(x))):
        low, high = values[wrong].min(), values[wrong].max()
        if low > values[right].max():
            return f"{name} above {_between(values[right].max(), low)}"
        if high < values[right].min():
            return f"{name} below {_between(high, values[right].min())}"
    return None


def _between(low: float, high: float) -> str:
    """The roundest number between two."""
    if low <= 0 <= high:
        return "0"
    for digits in (1, 2, 3, 6):
        text = f"{(low + high) / 2:.{digits}g}"
        if low <= float(text) <= high:
            return text
    return f"{low:.6g}"


def _constant_ratio(a: Array, n: Array) -> float | None:
    """a / n when it is the same for all entries that are not tiny."""
    big = np.abs(n) > SAME * np.max(np.abs(n))
    if big.sum() < 2:
        return None
    ratios = a[big] / n[big]
    middle = float(np.median(ratios))
    # A factor close to 1 varies little even where it is not constant.
    allowed = max(EQUAL, RATIO_SHARE * abs(middle - 1)) * abs(middle)
    if middle == 0 or np.max(np.abs(ratios - middle)) > allowed:
        return None
    return middle


def _factor(ratio: float) -> str:
    for value, name in ((2.0, "2"), (0.5, "1/2"), (3.0, "3"), (1 / 3, "1/3"), (4.0, "4")):
        if math.isclose(abs(ratio), value, rel_tol=SAME):
            return f" of {'-' if ratio < 0 else ''}{name}"
    return ""


def _one_slice(wrong: Array) -> str | None:
    """'in row 3 of axis 0' when all wrong entries share an index along an axis."""
    for axis in range(wrong.ndim):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        hit = np.flatnonzero(wrong.any(axis=others))
        if hit.size == 1 and wrong.shape[axis] > 1:
            return f"at index {int(hit[0])} of axis {axis}"
    return None
