"""Kinks: where left and right derivative differ, the analytic value must lie between them.

relu, max, abs and their kind have no derivative at a kink; any value between the left and the right
one is a correct choice (a Clarke generalised gradient), anything else is not. So a kink is
certified, not skipped.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from gradcheck.numerics.core.arrays import Array
from gradcheck.numerics.core.differences import Lines, Precision, one_sided
from gradcheck.numerics.core.verdict import KINK, RIGHT, SURE, UNSURE, WRONG, Comparison

POINTS = (1.0, 2.0, 3.0, -1.0, -2.0, -3.0)
STEPS = {True: (2.0**-20, 2.0**-25, 2.0**-30), False: (2.0**-7, 2.0**-9)}
"""Step sizes by whether the arithmetic is float64. They must be far smaller than the distance from
one kink to the next."""
NOISE = 6.0
"""Noise of a one-sided slope over the step, with room for its tails: its weights are 2, 3/2 and
1/2."""
BLUNT = 0.05
"""An interval can only accuse when its error bars are at most this share of its ends."""
TINIEST = 1e-300
"""So that slopes of zero can be sharp."""
TWICE = 2
"""A kink must show itself at two steps."""


class Sides(NamedTuple):
    """Derivatives to the right and to the left, each (n,), the interval that a correct slope lies
    in, and error bars. For a line that sums several outputs the interval is the sum of theirs."""

    right: Array
    left: Array
    low: Array
    high: Array
    bar_right: Array
    bar_left: Array


@runtime_checkable
class HasSides(Protocol):
    """Lines that know what each of their outputs does."""

    def sides(self, h: Array, active: Array) -> Sides: ...


def certify(
    lines: Lines, outcome: Comparison, h0: Array, precision: Precision, *, may_fail: bool = True
) -> None:
    """Settle the lines that are still open, in place.

    may_fail: whether a slope outside the interval is called wrong. Not so for a direction through
    many kinks at once, where convex and concave ones mix and no interval holds.
    """
    active = np.flatnonzero(outcome.state == 0)
    if not active.size:
        return
    analytic = outcome.analytic[active]
    votes = np.zeros(active.size, dtype=int)
    inside = np.zeros(active.size, dtype=int)
    nearest = np.full(active.size, np.nan)
    at_edge = np.zeros(active.size, dtype=int)
    edge_limit = np.full(active.size, np.inf)
    noise = lines.noise()[active]
    steps = STEPS[precision.double]
    with np.errstate(all="ignore"):
        for step in steps:
            h = h0 * step
            ha = h[active]
            sides = lines.sides(h, active) if isinstance(lines, HasSides) else None
            if sides is None:
                sides = two_sides(lines(POINTS, h, active), ha)
            bar = NOISE * noise / ha + precision.relative * np.abs(analytic)
            bar_r, bar_l = bar + sides.bar_right, bar + sides.bar_left
            edge = np.isfinite(sides.right) ^ np.isfinite(sides.left)
            # To one side of a boundary of the domain there is nothing: the other side decides.
            right, bar_r = _or(sides.right, bar_r, sides.left, bar_l)
            left, bar_l = _or(sides.left, bar_l, right, bar_r)
            off = np.abs(right - analytic)
            agrees = edge & (off <= bar_r)
            at_edge += agrees
            edge_limit = np.where(agrees, np.fmin(edge_limit, off + bar_r), edge_limit)
            low = np.fmin(sides.low, np.fmin(right, left)) - np.maximum(bar_r, bar_l)
            high = np.fmax(sides.high, np.fmax(right, left)) + np.maximum(bar_r, bar_l)
            kink = (high - low) > SURE * (bar_r + bar_l)
            sharp = bar_r + bar_l < BLUNT * np.maximum(np.abs(right), np.abs(left)) + TINIEST
            within = (analytic >= low) & (analytic <= high)
            inside += within & kink
            gap = np.maximum(low - analytic, analytic - high)
            out = (gap > SURE * (bar_r + bar_l)) & sharp
            votes += out
            closest = np.where(np.abs(right - analytic) < np.abs(left - analytic), right, left)
            nearest = np.where(out | within | agrees, closest, nearest)
    certified = inside >= TWICE
    wrong = (votes == len(steps)) & may_fail
    right_at_edge = (at_edge >= TWICE) & ~certified & ~wrong
    state = np.where(certified, KINK, np.where(wrong, WRONG, UNSURE))
    state = np.where(right_at_edge, RIGHT, state)
    outcome.state[active] = state
    outcome.limit[active[right_at_edge]] = edge_limit[right_at_edge]
    settled = certified | wrong | right_at_edge
    outcome.numeric[active[settled]] = nearest[settled]


def two_sides(values: Array, h: Array) -> Sides:
    """values: (6, n) changes at `POINTS`; h: (n,). The second estimate, over other points, differs
    where the function is not even smooth to one side: that is the error bar."""
    right, left = one_sided(values[0], values[1], h), one_sided(values[3], values[4], -h)
    return Sides(
        right,
        left,
        np.minimum(right, left),
        np.maximum(right, left),
        np.abs(right - values[2] / (3 * h)),
        np.abs(left - values[5] / (-3 * h)),
    )


def _or(side: Array, bar: Array, other: Array, other_bar: Array) -> tuple[Array, Array]:
    usable = np.isfinite(side) & np.isfinite(bar)
    return np.where(usable, side, other), np.where(usable, bar, other_bar)
