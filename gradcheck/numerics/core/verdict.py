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
from dataclasses import dataclass, field

import numpy as np

from gradcheck.numerics.core.arrays import Array
from gradcheck.numerics.core.differences import Lines, Precision, sixth_difference, slope

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
"""A relative disagreement above this needs only `LARGE_VOTES` agreeing steps, a smaller one more:
truncation and noise can look like a small error, not like a large one."""
LARGE_VOTES = 2
"""Agreeing steps without which nothing is called wrong."""
ROUNDINGS = 4.0
"""Noise of the difference of two values, with room for its tails: two deviations of each."""
ANALYTIC_ROUNDINGS = 8.0
"""Last digits that a backward may lose in a slope of ordinary size."""
BEYOND_TARGET = 2.0
"""An error is more than this many times the tolerance at which a slope counts as right; what lies
between the two is not worth an accusation."""
DARK = {True: 1e-7, False: 1e-2}
"""By whether the arithmetic is float64: an estimate near zero (its error bar is not small beside
itself) accuses a slope that is larger than the bar by this factor, the promised resolution."""
WITNESS_BARS = 3.0
"""Two estimates agree when they differ by at most this many of both error bars."""
WITNESS_SLACK = 1e-3
"""And by this share of themselves: error bars are estimates too, and can come out as zero."""
TINY = 25
"""Exponent of the last look's step in float64: hardly a function varies within it, and rounding
still leaves seven digits."""
ACQUITS = 0.1
"""The last look acquits within this share of the disagreement."""
ABOVE_ROUNDING = 100.0
"""The last look counts where the disagreement is this many times what rounding does to it."""
LATE = 18
"""Smooth functions are settled by steps above 2**-18; there may be reasons for smaller ones."""
VISIBLE = 1e-2
"""An error of this share of a gradient must be seen; with more hidden, nothing was checked."""


EVERY = slice(None)


@dataclass
class Comparison:
    """The outcome for n lines; all arrays are (n,).

    numeric: the best estimate. error: its error bar. limit: the smallest absolute error of the
    analytic slope that would have been noticed. scale: the size that errors are relative to. step:
    by which power of two the step that settled it was smaller than the scale of the steps.
    """

    analytic: Array
    numeric: Array
    error: Array
    limit: Array
    state: Array
    scale: Array
    step: Array

    @property
    def wrong(self) -> Array:
        """Indices of wrong lines, worst first."""
        bad = np.flatnonzero(self.state == WRONG)
        return bad[np.argsort(-self.relative()[bad], kind="stable")]

    def severity(self) -> Array:
        """The relative disagreement to a factor of eight. Along random directions leaves that one
        fault corrupts are wrong by about the same; then their own order says more."""
        with np.errstate(all="ignore"):
            return np.exp2(3 * np.round(np.log2(self.relative()) / 3))

    @classmethod
    def empty(cls) -> Comparison:
        """The outcome for no line."""
        return cls(*(np.zeros(0) for _ in dataclasses.fields(cls)))

    def adopt(self, lines: Array, other: Comparison, theirs: Array | slice = EVERY) -> None:
        """Take over what `other` found about these lines. theirs: their places in `other`."""
        for name in ("numeric", "error", "limit", "state", "step"):
            getattr(self, name)[lines] = getattr(other, name)[theirs]

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


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a comparison is made where the usual way does not fit.

    floor: an absolute error that counts as none. exponents: steps are 2**-k times h0, in this order
    (default: those of the precision). pairs_first: how many pairs of points to evaluate before the
    first look. small_votes: how many agreeing steps a small disagreement needs. sure: how many
    error bars a disagreement must be. The last two may be less where the caller confirms a verdict
    by other means.
    """

    floor: float = 0.0
    exponents: Sequence[int] | None = None
    pairs_first: int = 1
    small_votes: int = 3
    sure: float = SURE


USUAL = Rules()


def compare(
    lines: Lines,
    analytic: Array,
    h0: Array,
    precision: Precision,
    rules: Rules = USUAL,
    *,
    scale: Array | None = None,
) -> Comparison:
    """Judge every line.

    analytic: (n,) slopes. h0: (n,) scale of the steps. scale: (n,) the size that errors are
    relative to (default |analytic|).
    """
    return _Judge(lines, analytic, h0, precision, rules, scale).judge()


@dataclass
class _Points:
    """What was evaluated at one step: T1, T2, ... and the sums, each for the open lines."""

    h: Array
    pairs: list[Array] = field(default_factory=list)
    sums: list[Array] = field(default_factory=list)

    def keep(self, chosen: Array) -> None:
        self.h = self.h[chosen]
        self.pairs = [p[chosen] for p in self.pairs]
        self.sums = [s[chosen] for s in self.sums]


class _Judge:
    """Step by step: estimate, clear what agrees, accuse what does not, until every line is settled
    or no step is left.

    open: indices of the lines without a verdict. votes: how many agreeing estimates accuse a line;
    witness, witness_bar: the last of them with its error bar.
    """

    def __init__(
        self,
        lines: Lines,
        analytic: Array,
        h0: Array,
        precision: Precision,
        rules: Rules,
        scale: Array | None,
    ) -> None:
        n = lines.size
        self.lines, self.h0, self.precision, self.rules = lines, h0, precision, rules
        size = np.abs(analytic) if scale is None else scale
        self.found = Comparison(
            analytic=analytic,
            numeric=np.full(n, np.nan),
            error=np.full(n, np.inf),
            limit=np.full(n, np.inf),
            state=np.zeros(n, dtype=np.int8),
            scale=size,
            step=np.zeros(n),
        )
        self.target = precision.relative * size + rules.floor
        larger = np.maximum(size, np.abs(analytic))
        self.analytic_rounding = ANALYTIC_ROUNDINGS * precision.gradients * larger
        self.open = np.arange(n)
        self.votes = np.zeros(n, dtype=np.int64)
        self.witness = np.full(n, np.nan)
        self.witness_bar = np.full(n, np.inf)

    def judge(self) -> Comparison:
        with np.errstate(all="ignore"):
            for exponent in self.rules.exponents or self.precision.exponents:
                points = self.estimate(self.h0 * 2.0**-exponent)
                if self.open.size:
                    self.accuse(points)
                if not self.open.size:
                    break
        self.close()
        return self.found

    def estimate(self, h: Array) -> _Points:
        """Evaluate pair after pair of points, and clear what agrees after each."""
        points = _Points(h[self.open])
        for count in range(min(self.rules.pairs_first, 3), 4):
            new = range(len(points.pairs) + 1, count + 1)
            values = self.lines(tuple(s * float(k) for k in new for s in (1, -1)), h, self.open)
            for right, left in zip(values[::2], values[1::2]):
                points.pairs.append(right - left)
                points.sums.append(right + left)
            self.clear(points)
            if not self.open.size:
                break
        return points

    def clear(self, points: _Points) -> None:
        """Right is what one estimate agrees with; but a blunt estimate does not clear a line that a
        sharp one has accused."""
        found, open_ = self.found, self.open
        estimate = slope(points.pairs, points.h)
        noise = self.lines.noise()[open_]
        tolerance = (
            self.target[open_] + ROUNDINGS * noise / points.h + self.analytic_rounding[open_]
        )
        gap = np.abs(estimate - found.analytic[open_])
        accused_by = np.abs(found.numeric[open_] - found.analytic[open_])
        accused = (self.votes[open_] > 0) & (tolerance > AGREE * accused_by)
        good = (gap <= tolerance) & ~accused
        done = open_[good]
        found.state[done] = RIGHT
        found.step[done] = np.log2(self.h0[done] / points.h[good])
        found.numeric[done] = estimate[good]
        found.error[done] = gap[good]
        found.limit[done] = tolerance[good] + gap[good]
        self.open = open_[~good]
        points.keep(~good)

    def accuse(self, points: _Points) -> None:
        """Wrong is what sharp estimates with different steps disagree with in the same way."""
        found, open_ = self.found, self.open
        best, bar = self.best_estimate(points)
        gap = np.abs(best - found.analytic[open_])
        suspect = self.is_sharp(best, bar, gap, points.h) & (gap > self.rules.sure * bar)
        suspect &= gap > BEYOND_TARGET * self.target[open_]
        same = suspect & self.confirms_the_witness(best, bar, gap)
        votes = np.where(same, self.votes[open_] + 1, np.where(suspect, 1, self.votes[open_]))
        self.votes[open_] = votes
        self.witness[open_] = np.where(suspect, best, self.witness[open_])
        self.witness_bar[open_] = np.where(suspect, bar, self.witness_bar[open_])
        large = gap > CLEAR * np.maximum(found.scale[open_], np.abs(best))
        guilty = votes >= np.where(large, LARGE_VOTES, self.rules.small_votes)
        if guilty.any():
            guilty &= ~self.acquitted(guilty, gap)
        found.state[open_[guilty]] = WRONG
        found.limit[open_[guilty]] = SURE * bar[guilty]
        self.open = open_[~guilty]

    def best_estimate(self, points: _Points) -> tuple[Array, Array]:
        """The estimate of order 6 with its error bar: truncation, noise, rounding of the analytic
        slope. The sharpest so far is kept as the numeric slope."""
        found, open_ = self.found, self.open
        best = slope(points.pairs, points.h)
        truncation = np.abs(best - slope(points.pairs[:2], points.h))
        noise = sixth_difference(points.sums) + self.lines.noise()[open_]
        bar = truncation + 2 * noise / points.h + self.analytic_rounding[open_]
        bar = np.where(np.isfinite(bar) & np.isfinite(best), bar, np.inf)
        better = bar < found.error[open_]
        chosen = open_[better]
        found.numeric[chosen], found.error[chosen] = best[better], bar[better]
        return best, bar

    def is_sharp(self, best: Array, bar: Array, gap: Array, h: Array) -> Array:
        """An estimate must be sharp to accuse: a function that wiggles between the points gives
        estimates near zero with error bars of their own size. Next to an analytic slope that is far
        larger, a bar of any size looks small: there it must be rounding and no more."""
        rounding = QUIET * self.lines.noise()[self.open] / h + self.analytic_rounding[self.open]
        dark = DARK[self.precision.double]
        return np.asarray((bar < SHARP * np.abs(best)) | ((bar < dark * gap) & (bar <= rounding)))

    def confirms_the_witness(self, best: Array, bar: Array, gap: Array) -> Array:
        """Whether the estimate agrees with the last one that accused. Near a jump the estimates
        grow like 1/h and all lie far from the analytic slope: they must also agree with each other
        as well as their error bars promise."""
        apart = np.abs(best - self.witness[self.open])
        bars = WITNESS_BARS * (bar + self.witness_bar[self.open])
        promised = bars + WITNESS_SLACK * np.minimum(gap, np.abs(best))
        return np.asarray((apart <= AGREE * gap) & (apart <= promised))

    def acquitted(self, guilty: Array, gap: Array) -> Array:
        """Of the accused lines those that agree with the analytic slope at a tiny step after all.

        A function that varies much faster than the steps (a sine of 10,000) can fool two of them.
        This holds only where the disagreement is a hundred times the rounding at the tiny step.
        """
        exponent = TINY if self.precision.double else self.precision.exponents[-1]
        h = self.h0 * 2.0**-exponent
        accused = self.open[guilty]
        values = self.lines((1.0, -1.0), h, accused)
        found = slope([values[0] - values[1]], h[accused])
        rounding = ROUNDINGS * self.lines.noise()[accused] / h[accused]
        near = np.abs(found - self.found.analytic[accused]) <= ACQUITS * gap[guilty]
        out = np.zeros(self.open.size, dtype=bool)
        out[guilty] = near & (gap[guilty] > ABOVE_ROUNDING * rounding)
        return out

    def close(self) -> None:
        """What was accused twice and never cleared is wrong: no finer step could see more."""
        open_ = self.open
        self.found.state[open_[self.votes[open_] >= LARGE_VOTES]] = WRONG
        self.found.limit[open_] = SURE * self.found.error[open_]


def unseen(outcome: Comparison, size: Array) -> Array:
    """Indices of the lines without a verdict that shows errors of `VISIBLE` of `size`, and of those
    that only a tiny step settled: between two steps of a staircase every slope is zero."""
    undecided = np.isin(outcome.state, (OPEN, UNSURE, WRONG))
    right = outcome.state == RIGHT
    with np.errstate(all="ignore"):
        doubtful = right & ~((outcome.limit <= VISIBLE * size) & (outcome.step < LATE))
    return np.flatnonzero(undecided | doubtful)
