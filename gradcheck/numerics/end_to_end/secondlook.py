"""A second look before a leaf is accused: with steps of the entry's own size.

A direction moves all entries of a tensor by steps of its typical size. An entry a million times
smaller, or one that a much steeper function follows, changes within such a step: the slope there
is not its derivative. Cheap, for only what was accused is looked at.
"""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import Precision, measured_noise, scale_of, slope
from gradcheck.numerics.core.verdict import UNSURE
from gradcheck.numerics.end_to_end.directions import Forward
from gradcheck.numerics.end_to_end.endtoend import EndToEnd, LeafFault
from gradcheck.numerics.end_to_end.point import Point, pulled, rounding_of
from gradcheck.numerics.ops.secondlook import NEAR

ROUGH = 1e-3
"""A result that jumps by this share of itself between neighbouring numbers has no derivative that
differences could find."""
LOST = 2e-6
"""A float64 gradient with more rounding than this share of it is ill-conditioned. With less, the
backward itself may drop digits, by a detour through float32: that stays a fault."""
DROWNED = 20.0
"""A gradient below this many times its own rounding is nothing but rounding."""
BLURRED = 4.0
"""And a disagreement below this many times the rounding may come from it."""
FINE, FINE_POINTS = 4.0, 12
"""Spacing, in last digits, and number of the points that the noise is measured from."""
BENDS = 3.0 * NEAR
"""In float32: when the last halvings of the step bring the estimate nearer to the analytic value by
this share of the disagreement, it has not settled."""
OWN_STEPS = "steps of the size of the entry give the analytic value, larger ones do not"
NUDGE = 4.0
"""Last digits by which values are moved to see how much the gradient depends on them."""


def acquit(point: Point, forward: Forward, found: EndToEnd, precision: Precision) -> list[str]:
    """Take the faults out of `found` that do not stand a second look; why, in a sentence each."""
    kept: list[LeafFault] = []
    reasons: list[str] = []
    noises: tuple[dict[str, float], dict[str, float]] | None = None
    for fault in found.faults:
        reason = _settled(point, forward, found, fault, precision)
        if reason is None:
            noises = noises or (rounding_of(point), _conditioning(point))
            noise = max(n[fault.name] for n in noises)
            reason = _drowned(point, fault, noise, precision)
        if reason is None:
            kept.append(fault)
            continue
        reasons.append(f"{fault.name} is undecided end to end: {reason}")
        found.wrong = [n for n in found.wrong if n != fault.name]
        found.acquitted.append(fault.name)
        gap = np.abs(found.outcome.numeric - found.outcome.analytic)
        for i, name in enumerate(found.names):
            if name == fault.name:
                found.outcome.state[i] = UNSURE
                # What steps of the right size show is seen; what is as large as rounding is not.
                found.outcome.limit[i] = 0.0 if reason == OWN_STEPS else gap[i]
                found.outcome.numeric[i] = found.outcome.analytic[i]
    found.faults = kept
    return reasons


def _drowned(point: Point, fault: LeafFault, noise: float, precision: Precision) -> str | None:
    """Whether the measured rounding in the gradient explains the disagreement."""
    gap = abs(fault.analytic - fault.numeric)
    largest = float(np.max(np.abs(point.gradient(fault.name))))
    if noise and max(gap, largest) <= DROWNED * noise:
        return "its gradient is nothing but rounding"
    if 0 < gap <= BLURRED * noise and (not precision.double or noise > LOST * largest):
        return "rounding in its gradient is as large as the disagreement"
    return None


def _conditioning(point: Point) -> dict[str, float]:
    """How much the gradient of each leaf changes when all values move by their last digits."""
    subject = point.subject
    found = dict.fromkeys(point.values, 0.0)
    rng = np.random.default_rng(0)
    try:
        for _ in range(3):
            for name in point.trainable:
                x = point.values[name]
                subject.set(name, x + NUDGE * np.spacing(x) * rng.uniform(-1, 1, x.shape))
            for name, moved in pulled(point, 1.0).items():
                first = point.analytic[name]
                if first is not None and moved is not None and first.size:
                    found[name] = max(found[name], float(np.max(np.abs(moved - first))))
    except Exception:  # this framework takes no cotangent of a scalar, which a note says
        return found
    finally:
        for name in point.trainable:
            subject.set(name, point.values[name])
    return found


def _settled(
    point: Point, forward: Forward, found: EndToEnd, fault: LeafFault, precision: Precision
) -> str | None:
    """Why the leaf cannot be accused: the entry that was blamed, and two directions that move every
    entry in proportion to itself, must say so. None when it can."""
    x = point.values[fault.name].astype(np.float64)
    gradient = point.gradient(fault.name)
    if fault.index is None or not np.any(gradient):
        return None
    own = np.where(np.isfinite(x), np.abs(x), 0.0)
    least = own[own > 0].min(initial=np.inf)
    own = np.exp2(np.round(np.log2(np.where(own > 0, own, least if least < np.inf else 1.0))))
    unit = np.zeros(x.shape)
    unit[fault.index] = own[fault.index]
    gap = abs(fault.analytic - fault.numeric) * float(own[fault.index])
    reason = _along(point, forward, fault.name, unit, gap, precision)
    if reason is None or x.size == 1:
        return reason
    outcome = found.outcome
    chosen = [i for i in outcome.wrong if found.names[i] == fault.name]
    with np.errstate(all="ignore"):
        apart = np.abs(outcome.numeric - outcome.analytic)[chosen] / outcome.scale[chosen]
    share = min(1.0, float(np.nanmin(apart, initial=1.0)))
    rng = np.random.default_rng(0)
    for _ in range(2):
        direction = np.where(rng.random(x.shape) < 0.5, own, -own)
        norm = float(np.sqrt(np.sum((gradient * direction) ** 2)))
        if _along(point, forward, fault.name, direction, share * norm, precision) is None:
            return None
    return reason


def _along(
    point: Point, forward: Forward, name: str, direction: Array, gap: float, precision: Precision
) -> str | None:
    """Whether the slope along `direction` is the analytic one for steps of some size, or none can
    be told. gap: the disagreement that was found. direction: about as large as the entries."""
    x = point.values[name].astype(np.float64)
    analytic = float(np.sum(point.gradient(name) * direction))
    eps = float(np.finfo(point.values[name].dtype).eps)
    # From the largest scale around (an entry much smaller than what it is added to vanishes in its
    # rounding) down to the spacing of numbers; powers of two, to be exact.
    top = max(scale_of(v) for v in point.values.values()) / scale_of(direction)
    first = float(np.round(np.log2(max(1.0, top)))) - 4
    steps = np.exp2(np.arange(first, np.log2(2 * eps), -2.0 if precision.double else -1.0))

    def at(offsets: Array) -> Array:
        return forward([(name, x + offsets.reshape(-1, *(1,) * x.ndim) * direction)])

    fine = at(FINE * eps * np.arange(1, FINE_POINTS + 1))
    measured = measured_noise(fine) if np.isfinite(fine).all() else 0.0
    size = float(np.sum(np.abs(point.weights * point.value)))
    noise = max(measured, precision.data * size)
    v = at((steps[:, None] * np.array([1.0, -1.0, 2.0, -2.0])).reshape(-1)).reshape(-1, 4)
    usable = noise <= NEAR * gap * steps
    with np.errstate(all="ignore"):
        narrow = slope([v[:, 0] - v[:, 1]], steps)
        fourth = slope([v[:, 0] - v[:, 1], v[:, 2] - v[:, 3]], steps)
        apart = np.abs(np.stack([narrow, fourth]) - analytic).max(axis=0)
    if (usable & (apart <= NEAR * gap)).any():
        return OWN_STEPS
    last = np.flatnonzero(usable & np.isfinite(fourth))
    if not precision.double and last.size > 2:
        before, after = (float(fourth[last[k]]) for k in (-3, -1))
        if (after - before) / (analytic - before) > BENDS:
            return "the result bends within the smallest step that float32 can resolve"
    span = float(np.max(np.abs(v), where=np.isfinite(v), initial=size))
    if measured > ROUGH * span:
        return "the result jumps between neighbouring numbers"
    return None
