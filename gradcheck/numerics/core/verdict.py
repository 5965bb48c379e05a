"""Analytic slopes against lines: right, wrong, at a kink, or undecided.

A line is *right* as soon as one estimate agrees with the analytic slope to the target tolerance: a
wrong slope does not agree with an estimate of twelve digits by chance. It is *wrong* only when
estimates with different steps agree with each other, each with an error bar far smaller than the
disagreement with the analytic slope. So truncation (which shrinks with the step) and rounding
(which grows) can delay a verdict but never make one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import Lines, sixth_difference, slope
from gradcheck.numerics.core.noise import Precision

OPEN, RIGHT, WRONG, KINK, UNSURE = 0, 1, 2, 3, 4
"""States of a line. KINK: certified between left and right derivative. UNSURE: no estimate good
enough to say more than the (large) limit."""

SURE = 20.0
"""A disagreement must be this many error bars."""
AGREE = 0.2
"""Two estimates agree when they differ by at most this share of the disagreement."""
SHARP = 0.05
"""An estimate that accuses has an error bar of at most this share of itself."""
QUIET = 64.0
"""An error bar of at most this many roundings (over the step) holds nothing but rounding."""
CLEAR = 1e-4
"""A relative disagreement above this needs two agreeing steps, a smaller one three."""


@dataclass
class Comparison:
    """The outcome for n lines; all arrays are (n,).

    numeric: the best estimate. error: its error bar. limit: the smallest absolute error of the
    analytic slope that would have been noticed. history: (h, error) of line 0, for plots.
    """

    analytic: Array
    numeric: Array
    error: Array
    limit: Array
    state: Array
    scale: Array

    @property
    def wrong(self) -> Array:
        """Indices of wrong lines, worst first."""
        bad = np.flatnonzero(self.state == WRONG)
        return bad[np.argsort(-self.relative()[bad], kind="stable")]

    def severity(self) -> Array:
        """The relative disagreement to a factor of eight. Along random directions leaves that one
        fault spoils are wrong by about the same; then their own order says more."""
        with np.errstate(all="ignore"):
            return np.exp2(3 * np.round(np.log2(self.relative()) / 3))

    def part(self, lines: slice) -> Comparison:
        """The outcome for some of the lines."""
        return Comparison(*(getattr(self, field.name)[lines] for field in dataclasses.fields(self)))

    def relative(self) -> Array:
        """|analytic - numeric| over the larger of the two."""
        with np.errstate(all="ignore"):
            gap = np.abs(self.analytic - self.numeric)
            size = np.maximum(np.abs(self.analytic), np.abs(self.numeric))
            out = np.where(gap == 0, 0.0, gap / size)
        return np.where(np.isfinite(out), out, 1.0)


def compare(
    lines: Lines,
    analytic: Array,
    h0: Array,
    precision: Precision,
    *,
    scale: Array | None = None,
    floor: float = 0.0,
    exponents: Sequence[int] | None = None,
    pairs_first: int = 1,
    small_votes: int = 3,
    sure: float = SURE,
) -> Comparison:
    """Judge every line.

    analytic: (n,). h0: (n,) scale of the steps. scale: (n,) size that errors are relative to
    (default |analytic|). floor: absolute error that counts as none. exponents: steps are 2**-k of
    h0 (default `precision.exponents`), tried in this order; pairs_first: how many pairs of points
    to ask for at once before looking. small_votes: agreeing
    steps that a small disagreement needs, and sure: how many error bars it must be (less where the
    caller confirms by other means).
    """
    n = lines.size
    state = np.zeros(n, dtype=np.int8)
    numeric = np.full(n, np.nan)
    error = np.full(n, np.inf)
    limit = np.full(n, np.inf)
    votes = np.zeros(n, dtype=np.int64)
    witness = np.full(n, np.nan)
    witness_bar = np.full(n, np.inf)
    size = np.abs(analytic) if scale is None else scale
    target = precision.relative * size + floor
    analytic_rounding = 8 * precision.gradients * np.maximum(size, np.abs(analytic))
    active = np.arange(n)
    dark = 1e-7 if precision.double else 1e-2
    tiny = 2.0 ** -(25 if precision.double else precision.exponents[-1])
    with np.errstate(all="ignore"):
        for exponent in exponents or precision.exponents:
            h = h0 * 2.0**-exponent
            pairs: list[Array] = []
            sums: list[Array] = []
            for level in (1, 2, 3):
                ha = h[active]
                offsets: list[float] = []
                while len(pairs) + len(offsets) // 2 < max(level, min(pairs_first, 3)):
                    k = float(len(pairs) + len(offsets) // 2 + 1)
                    offsets += [k, -k]
                values = lines(tuple(offsets), h, active) if offsets else np.empty((0, 0))
                noise = lines.noise()
                for k in range(0, len(offsets), 2):
                    pairs.append(values[k] - values[k + 1])
                    sums.append(values[k] + values[k + 1])
                if level < len(pairs):
                    continue
                estimate = slope(pairs, ha)
                tolerance = target[active] + 4 * noise[active] / ha + analytic_rounding[active]
                gap = np.abs(estimate - analytic[active])
                # A blunt estimate does not clear a line that a sharp one has accused.
                accused = (votes[active] > 0) & (
                    tolerance > AGREE * np.abs(numeric[active] - analytic[active])
                )
                good = (gap <= tolerance) & ~accused
                done = active[good]
                state[done] = RIGHT
                numeric[done] = estimate[good]
                error[done] = gap[good]
                limit[done] = tolerance[good] + gap[good]
                keep = ~good
                active = active[keep]
                pairs = [p[keep] for p in pairs]
                sums = [s[keep] for s in sums]
                if not active.size:
                    break
            if not active.size:
                break
            ha = h[active]
            best = slope(pairs, ha)
            bar = (
                np.abs(best - slope(pairs[:2], ha))
                + 2 * (sixth_difference(sums) + noise[active]) / ha
                + analytic_rounding[active]
            )
            bar = np.where(np.isfinite(bar) & np.isfinite(best), bar, np.inf)
            better = bar < error[active]
            chosen = active[better]
            numeric[chosen], error[chosen] = best[better], bar[better]
            gap = np.abs(best - analytic[active])
            # An estimate must be sharp to accuse: a function that wiggles between the points gives
            # estimates near zero with error bars of their own size. Next to an analytic slope that
            # is far larger, a bar of any size looks small: there it must be rounding and no more.
            fog = QUIET * noise[active] / ha + analytic_rounding[active]
            sharp = (bar < SHARP * np.abs(best)) | ((bar < dark * gap) & (bar <= fog))
            suspect = sharp & (gap > sure * bar) & (gap > 2 * target[active])
            apart = np.abs(best - witness[active])
            # Near a jump the estimates grow like 1/h and all lie far from the analytic slope: they
            # must also agree with each other as well as their error bars promise.
            allowed = 3 * (bar + witness_bar[active]) + 1e-3 * np.minimum(gap, np.abs(best))
            same = suspect & (apart <= AGREE * gap) & (apart <= allowed)
            votes[active] = np.where(same, votes[active] + 1, np.where(suspect, 1, votes[active]))
            witness[active] = np.where(suspect, best, witness[active])
            witness_bar[active] = np.where(suspect, bar, witness_bar[active])
            clear = gap > CLEAR * np.maximum(size[active], np.abs(best))
            guilty = votes[active] >= np.where(clear, 2, small_votes)
            if guilty.any():
                guilty &= ~_acquitted(lines, analytic, h0 * tiny, active, guilty, gap)
            state[active[guilty]] = WRONG
            limit[active[guilty]] = SURE * bar[guilty]
            active = active[~guilty]
            if not active.size:
                break
    # Accused twice, cleared never, and no finer step could see more.
    state[active[votes[active] >= 2]] = WRONG
    limit[active] = SURE * error[active]
    return Comparison(analytic, numeric, error, limit, state, size)


def _acquitted(
    lines: Lines, analytic: Array, h: Array, active: Array, guilty: Array, gap: Array
) -> Array:
    """Of the accused lines those that agree with the analytic slope at a tiny step after all.

    A function that varies much faster than the steps (a sine of 10,000) can fool two of them. Only
    where the disagreement is a hundred times what rounding does at the tiny step.
    """
    accused = active[guilty]
    values = lines((1.0, -1.0), h, accused)
    found = slope([values[0] - values[1]], h[accused])
    fog = 4 * lines.noise()[accused] / h[accused]
    near = (np.abs(found - analytic[accused]) <= 0.1 * gap[guilty]) & (gap[guilty] > 100 * fog)
    out = np.zeros(active.size, dtype=bool)
    out[guilty] = near
    return out
