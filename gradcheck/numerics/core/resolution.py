"""Functions that answer in steps: the slope of what they round, and how well it can be known.

A function that goes through float32 or bfloat16 inside is a staircase. Between two of its steps it
does not move at all, so a small difference says zero with an error bar of zero; what its gradient
describes is the slope of the stairs. So it is fitted: a polynomial through many points of a window
gives that slope, and what the polynomial leaves over is the noise. Nothing is assumed about dtypes.

Noise stays as it is when the window shrinks; the error of a polynomial falls with its order, a kink
with the window. That is how they are told apart. A wave too short for the windows looks like noise
too, but in smaller ones it is smooth; stairs are flat there, but for single steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.numerics.core.arrays import Array
from gradcheck.numerics.core.differences import Lines
from gradcheck.numerics.core.verdict import RIGHT, UNSURE, VISIBLE, WRONG, Comparison

WINDOWS = (5, 9, 3, 7, 1)
"""Half widths 2**-k of the windows, as shares of the scale, in the order in which they are tried.
The first two tell whether there is noise at all."""
PLATEAU = 0.25
"""Noise in a window is at least this share of the noise in one 16 times wider; a kink leaves a
16th, a smooth function next to nothing."""
ABOVE_ROUNDING = 30.0
"""Noise counts as such when it is this many times the rounding of the lines' own arithmetic."""
BARS = 4.0
"""Standard errors in an error bar."""
SURE = 6.0
"""A disagreement must be this many error bars, in two windows."""
SHARP = 0.3
"""A window speaks for the analytic slope when its bar is at most this share of what others say
against it."""
ENOUGH = 1e-3
"""A window that shows errors of this share makes wider ones needless."""
ACQUITS = 0.1
"""An accused line is right when a window agrees within this share of the disagreement."""
SAME = 1e-9
"""And slopes that agree to this share are the same, as everywhere."""
BEYOND = 2.0
"""A disagreement of this many times what counts as none is one."""
SMALLEST = 35
"""Half width 2**-k of the smallest window in which steps are looked for."""
FEW = 8
"""Points that a few steps put off, of 31: two for each."""
MANY = 18
"""Points that many steps put off."""
LEVEL = 0.01
"""A point counts as put off when it is so by this share of the one that is put off most."""
STEP = 0.05
"""A step has at least this share of the noise."""
ASKED = 2
"""Lines that are looked at for steps."""
SIDE = 16
"""Points to each side."""


def _offsets() -> Array:
    """Uneven, so that they do not fall on the steps of a staircase in turn."""
    k = np.arange(1, SIDE + 1)
    right = (k - 0.4 + 0.8 * np.mod(k * 0.6180339887498949, 1.0)) / (SIDE + 0.4)
    left = (k - 0.4 + 0.8 * np.mod(k * 0.7548776662466927, 1.0)) / (SIDE + 0.4)
    return np.concatenate([right, -left])


OFFSETS = tuple(_offsets().tolist())
DEGREES = (3, 5, 7)


def _weights(degree: int) -> tuple[Array, Array]:
    """(what gives the slope, what gives the residuals) from the values at 0 and at `OFFSETS`."""
    basis = np.vander(np.array([0.0, *OFFSETS]), degree + 1, increasing=True)
    solve = np.linalg.pinv(basis)
    return solve[1], np.eye(len(basis)) - basis @ solve


WEIGHTS = {degree: _weights(degree) for degree in DEGREES}


@dataclass(frozen=True)
class Fit:
    """Slopes in one window with their error bars, and the noise, each (n,). Infinite bars where the
    function is not known in the whole window."""

    slope: Array
    bar: Array
    noise: Array


def fit(lines: Lines, half_width: Array, active: Array) -> Fit:
    """half_width: (lines.size,). Of a fit of degree 3 and one of degree 5 the sharper; what the
    next degree changes is part of the bar."""
    values = lines(OFFSETS, half_width, active)
    values = np.concatenate([np.zeros((1, values.shape[1])), values])
    width = half_width[active]
    slopes, errors, noises = [], [], []
    with np.errstate(all="ignore"):
        for degree in DEGREES:
            for_slope, for_rest = WEIGHTS[degree]
            rest = for_rest @ values
            noise = np.sqrt(np.sum(rest * rest, axis=0) / (len(values) - degree - 1))
            slopes.append(for_slope @ values / width)
            errors.append(noise * float(np.linalg.norm(for_slope)) / width)
            noises.append(noise)
        bars = [BARS * errors[i] + np.abs(slopes[i] - slopes[i + 1]) for i in (0, 1)]
        bars = [np.where(np.isfinite(b), b, np.inf) for b in bars]
    sharper = bars[0] <= bars[1]
    return Fit(
        np.where(sharper, slopes[0], slopes[1]),
        np.where(sharper, bars[0], bars[1]),
        np.nan_to_num(noises[-1], nan=np.inf),
    )


@dataclass
class Fitted:
    """What the windows said of n lines. slope, bar: of the sharpest fit. noise: how much there is,
    zero where the function is smooth. for_it, against_it: the sharpest bar of a window that agrees
    with the analytic slope; how many windows disagree, with one another in agreement."""

    slope: Array
    bar: Array
    noise: Array
    for_it: Array
    against_it: Array

    @property
    def rough(self) -> Array:
        return np.asarray(self.noise > 0)


def fitted(
    lines: Lines, analytic: Array, h0: Array, size: Array, active: Array, floor: Array | float = 0.0
) -> Fitted:
    """Fit the `active` lines in window after window, until they show enough.

    analytic, h0, size: (lines.size,) as in `verdict.compare`. floor: an absolute error that counts
    as none. Returns arrays for `active`.
    """
    n = len(active)
    wanted, enough = analytic[active], ENOUGH * size[active]
    none = SAME * size[active] + np.broadcast_to(floor, size.shape)[active]
    rounding = ABOVE_ROUNDING * lines.noise()[active]
    found = Fitted(
        np.full(n, np.nan), np.full(n, np.inf), np.zeros(n), np.full(n, np.inf), np.zeros(n)
    )
    noises: dict[int, Array] = {}
    against = np.full(n, np.nan)
    open_ = np.arange(n)
    for number, exponent in enumerate(WINDOWS):
        one = fit(lines, h0 * 2.0**-exponent, active[open_])
        noises[exponent] = np.full(n, np.nan)
        noises[exponent][open_] = one.noise
        found.noise = np.maximum(found.noise, _plateau(noises, rounding))
        # A window between two steps of a staircase is smooth, and knows nothing of the stairs.
        flat = found.rough[open_] & (one.noise < PLATEAU * _most(noises)[open_])
        gap = np.abs(one.slope - wanted[open_])
        sharper = (one.bar < found.bar[open_]) & ~flat
        chosen = open_[sharper]
        found.slope[chosen], found.bar[chosen] = one.slope[sharper], one.bar[sharper]
        agrees = (gap <= one.bar + none[open_]) & ~flat
        chosen = open_[agrees]
        found.for_it[chosen] = np.minimum(found.for_it[chosen], (one.bar + gap)[agrees])
        # A slope that is lost in the noise (of a wave too short even for the smallest window)
        # accuses nobody.
        known = one.bar < SHARP * np.abs(one.slope)
        apart = (gap > SURE * one.bar + BEYOND * none[open_]) & known & ~flat
        with np.errstate(all="ignore"):
            apart &= ~(np.abs(one.slope - against[open_]) > SHARP * gap)
        chosen = open_[apart]
        found.against_it[chosen] += 1
        against[chosen] = one.slope[apart]
        if number:
            smooth = ~found.rough & ~(_most(noises) > rounding)
            open_ = np.setdiff1d(open_, np.flatnonzero((found.for_it <= enough) | smooth))
        if not open_.size:
            break
    return found


def _most(noises: dict[int, Array]) -> Array:
    return np.asarray(np.fmax.reduce([np.nan_to_num(v, posinf=0.0) for v in noises.values()]))


def _plateau(noises: dict[int, Array], rounding: Array) -> Array:
    """The noise in a window that is also there in one 16 times as wide; zero for none."""
    found = np.zeros(rounding.shape)
    for exponent, noise in noises.items():
        wide = noises.get(exponent - 4)
        if wide is not None:
            with np.errstate(all="ignore"):
                there = (noise >= PLATEAU * wide) & (wide > rounding) & np.isfinite(noise)
            found = np.where(there & (noise > found), noise, found)
    return found


def in_steps(lines: Lines, h0: Array, active: Array, noise: Array) -> Array:
    """(len(active),): whether what looks like `noise` is made of steps, or is there in the smallest
    window still. A wave is neither: it is smooth in a small window, all points alike."""
    order = np.argsort([0.0, *OFFSETS], kind="stable")
    t = np.array([0.0, *OFFSETS])[order]
    left, right = t[1:-1] - t[:-2], t[2:] - t[1:-1]
    rounding = lines.noise()[active]
    sparse = np.zeros(len(active), bool)
    dense = np.zeros(len(active), bool)  # stairs have many steps, a sudden change is one
    for exponent in range(3, SMALLEST + 1):
        values = lines(OFFSETS, h0 * 2.0**-exponent, active)
        values = np.concatenate([np.zeros((1, values.shape[1])), values])[order]
        between = (values[:-2].T * right + values[2:].T * left) / (left + right)
        off = np.nan_to_num(np.abs(values[1:-1].T - between))
        largest = off.max(axis=1)
        # A step puts off the two points around it, and the others lie on a line; a wave puts off
        # nearly all of them.
        level = np.maximum(ABOVE_ROUNDING * rounding, LEVEL * largest)
        count = (off > level[:, None]).sum(axis=1)
        there = (largest > STEP * noise) & (largest > ABOVE_ROUNDING * rounding)
        sparse |= dense & there & (count <= FEW)
        dense |= there & (count >= MANY)
        if sparse.all():
            break
    return sparse | (largest > STEP * noise)


def settle(
    lines: Lines,
    outcome: Comparison,
    h0: Array,
    size: Array,
    chosen: Array,
    floor: Array | float = 0.0,
) -> Array:
    """Judge the `chosen` lines again where their function is rough, in place; those that were.

    size: (lines.size,) what an error is relative to. floor: an absolute error that counts as none.
    """
    if not chosen.size:
        return chosen
    found = fitted(lines, outcome.analytic, h0, size, chosen, floor)
    rough = found.rough
    if rough.any():  # all lines are of one function: some of them show what it is made of
        some = np.flatnonzero(rough)
        some = some[np.linspace(0, some.size - 1, min(some.size, ASKED)).astype(int)]
        rough = rough & in_steps(lines, h0, chosen[some], found.noise[some]).any()
    state = outcome.state[chosen]
    gap = np.abs(found.slope - outcome.analytic[chosen])
    with np.errstate(all="ignore"):
        accused_by = np.abs(outcome.numeric - outcome.analytic)[chosen]
        accused_by = np.where(state == WRONG, accused_by, np.inf)
        agrees = np.isfinite(found.for_it)
        limit = np.where(agrees, np.maximum(found.for_it, gap), gap + found.bar)
        limit = np.where(np.isfinite(limit), limit, np.inf)
        right = agrees & (found.for_it <= np.minimum(VISIBLE * size[chosen], ACQUITS * accused_by))
        wrong = (found.against_it >= 2) & ~(found.for_it <= SHARP * gap)
    verdict = np.where(right, RIGHT, np.where(wrong, WRONG, UNSURE))
    judged = chosen[rough]
    outcome.state[judged] = verdict[rough]
    outcome.numeric[judged] = found.slope[rough]
    outcome.error[judged] = found.bar[rough]
    outcome.limit[judged] = limit[rough]
    return judged
