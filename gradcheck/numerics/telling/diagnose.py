"""What a wrong gradient looks like, where that is cheap to say."""

from __future__ import annotations

import math

import numpy as np

from gradcheck.frameworks.protocol import Array


def diagnose(
    analytic: Array, numeric: Array, known: Array | None = None, *, x: Array | None = None
) -> tuple[str | None, str | None]:
    """(sentence, advice) from the two gradients, both of the tensor's shape.

    known: mask of the entries whose numeric value was computed (default all finite ones).
    x: the values of the tensor, to recognise ties.
    """
    mask = np.isfinite(numeric) & np.isfinite(analytic)
    if known is not None:
        mask &= known
    a, n = analytic[mask], numeric[mask]
    if not a.size:
        return None, None
    size = float(max(np.max(np.abs(a)), np.max(np.abs(n))))
    if size == 0.0:
        return None, None
    if np.max(np.abs(a)) <= 1e-12 * size:
        return (
            "the analytic gradient is exactly zero: disconnected, or dropped in the backward",
            "return the missing cotangent from the pullback; `graph` names the line of a cut",
        )
    if np.max(np.abs(n)) <= 1e-9 * size:
        return "the true gradient is zero, the analytic one is not", None
    ratio = _constant_ratio(a, n)
    if ratio is not None and abs(ratio - 1.0) > 1e-8:
        if abs(ratio + 1.0) < 1e-6:
            return "analytic = -1 x numeric everywhere: the sign is flipped", "check the sign"
        return (
            f"analytic = {_digits(ratio)} x numeric everywhere: a constant factor"
            f"{_factor(ratio, a)}",
            "look for a missing or doubled factor (2 of a square, 1/n of a mean, 1/(1-p) of a "
            "dropout, the square root of a dimension)",
        )
    if analytic.ndim >= 2 and analytic.shape[-1] == analytic.shape[-2] and mask.all():
        turned = np.swapaxes(numeric, -1, -2)
        if np.max(np.abs(analytic - turned)) <= 1e-6 * size:
            return "the analytic gradient is the transpose of the numeric one", "transpose it"
    moved = _moved(analytic, numeric) if mask.all() else None
    if moved is not None:
        return moved
    wrong = mask & (np.abs(analytic - numeric) > 1e-7 * size)
    if x is not None and wrong.any() and not wrong.all():
        flat = np.round(x, 12)
        _, inverse, counts = np.unique(flat, return_inverse=True, return_counts=True)
        tied = (counts[inverse] > 1).reshape(x.shape)
        if tied[wrong].all() and not tied[mask & ~wrong].any():
            return "wrong only where values are tied", "share the cotangent among the tied entries"
    offset = a - n
    if a.size > 2 and float(np.ptp(offset)) <= 1e-6 * float(np.max(np.abs(offset))):
        return f"analytic = numeric + {offset.mean():.6g} everywhere: a constant is missing", None
    count = int(wrong.sum())
    if count and wrong.ndim >= 1 and count < mask.sum():
        region = _region(wrong, mask & ~wrong, x) if x is not None and count > 1 else None
        if region:
            return f"wrong only where {region}", "look at the branch of the backward for these"
        place = _one_slice(wrong)
        if place and "axis 0" in place and not np.any(analytic[wrong]):
            return (
                f"wrong only {place}, which gets no gradient at all",
                "an embedding drops the gradient of its padding_idx: mask what is computed from "
                "padding, or give that row a gradient",
            )
        if place:
            return f"wrong only {place}", f"look at how the backward treats what lies {place}"
    return None, None


def _digits(ratio: float) -> str:
    """Enough digits to tell the ratio from 1."""
    short = f"{ratio:.6g}"
    return short if short != "1" else f"{ratio:.12g}"


def _moved(analytic: Array, numeric: Array) -> tuple[str, str] | None:
    """The right values in other places: turned round, or shifted along an axis."""
    size = float(np.max(np.abs(numeric)))
    for axis, length in enumerate(numeric.shape):
        if length < 3:
            continue
        if np.max(np.abs(analytic - np.flip(numeric, axis))) <= 1e-6 * size:
            return (
                f"the analytic gradient is the numeric one in reverse along axis {axis}",
                "turn the cotangent round along this axis",
            )
        for shift in range(1, min(length, 8)):
            for by in (shift, -shift):
                if np.max(np.abs(analytic - np.roll(numeric, by, axis))) <= 1e-6 * size:
                    return (
                        f"the analytic gradient is the numeric one shifted by {by} along axis "
                        f"{axis}",
                        "the pullback of a shift goes the other way; look at offsets and slices",
                    )
    return None


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
    big = np.abs(n) > 1e-6 * np.max(np.abs(n))
    if big.sum() < 2:
        return None
    ratios = a[big] / n[big]
    middle = float(np.median(ratios))
    if middle == 0 or np.max(np.abs(ratios - middle)) > max(1e-7, 1e-2 * abs(middle - 1)) * abs(
        middle
    ):
        return None
    return middle


def _factor(ratio: float, a: Array) -> str:
    for value, name in ((2.0, "2"), (0.5, "1/2"), (3.0, "3"), (1 / 3, "1/3"), (4.0, "4")):
        if math.isclose(abs(ratio), value, rel_tol=1e-6):
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
