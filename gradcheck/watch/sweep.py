"""The learning rate, judged by the losses that other rates reach from the same start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradcheck.checks.lib.words import number, times

FACTORS = (0.1, 1.0, 10.0, 100 / 3, 100.0, 1000.0)
"""Of the script's own rate; a tenth shows which way it goes."""
LOWER = (0.01, 0.001, 0.0001)
"""Tried as well where the own rate and those above it lead nowhere."""
LAST = 5
"""Losses at the end whose mean counts as the last one: batches differ."""
FALLS = 0.2
"""Share of the first loss by which the best rate must lower it: less is the noise of batches."""
ENOUGH = 0.9
"""Share of the largest fall that a rate must reach to be advised. Of those above the own rate the
lowest is advised, which has most room to the cliff; of those below it the highest."""
FEW = 8.0
"""A rate this many times higher must be better before the own one is called too low: within it,
schedules and longer training make up for the difference."""
LONGER = 10
"""The own rate has so many times as many steps to get where the best one got."""


@dataclass(frozen=True)
class Ran:
    """A rate and the losses before each step. how: why it ended."""

    rate: float
    losses: tuple[float, ...]
    how: str

    @property
    def diverged(self) -> bool:
        return self.how == "diverged" or not all(map(math.isfinite, self.losses))

    @property
    def last(self) -> float:
        """inf where it diverged."""
        if self.diverged or not self.losses:
            return math.inf
        tail = self.losses[-min(LAST, max(1, len(self.losses) // 3)) :]
        return sum(tail) / len(tail)


@dataclass(frozen=True)
class Verdict:
    """code: 'lr_too_low', 'lr_too_high' or 'fine'. best: the rate to advise."""

    code: str
    rate: float
    best: float | None
    first: float
    runs: Sequence[Ran]

    @property
    def message(self) -> str:
        assert self.best is not None
        way = "low" if self.code == "lr_too_low" else "high"
        ratio = self.best / self.rate if way == "low" else self.rate / self.best
        return f"the learning rate {self.rate:g} is too {way} by about {times(ratio)}"

    def row(self, steps: int) -> str:
        cells = []
        for run in sorted(self.runs, key=lambda r: r.rate):
            mark = "*" if run.rate == self.rate else ""
            text = "diverged" if run.diverged else number(run.last)
            cells.append(f"{rate_text(run.rate)}{mark} {text}")
        return f"last loss after {steps} steps: {', '.join(cells)}"

    def to_json(self) -> Mapping[str, object]:
        return {
            "code": self.code,
            "rate": self.rate,
            "best": self.best,
            "first": self.first,
            "runs": [{"rate": r.rate, "losses": list(r.losses), "how": r.how} for r in self.runs],
        }


def rate_text(rate: float) -> str:
    """Two digits: 0.01, 3e-05."""
    return f"{float(f'{rate:.2g}'):g}"


def leads_nowhere(rate: float, runs: Sequence[Ran]) -> bool:
    """Whether neither the own rate nor another one lowers the loss."""
    verdict = judge(rate, runs, None)
    last = min((r.last for r in runs), default=math.inf)
    return math.isnan(verdict.first) or verdict.first - last < FALLS * abs(verdict.first)


def judge(rate: float, runs: Sequence[Ran], own: Ran | None) -> Verdict:
    """own: the script's own rate with LONGER times as many steps, where it was run."""
    starts = [r.losses[0] for r in runs if r.losses and math.isfinite(r.losses[0])]
    mine = next((r for r in runs if r.rate == rate), None)
    first = starts[0] if starts else math.nan
    if mine is None or not starts:
        return Verdict("fine", rate, None, first, runs)
    best = min(runs, key=lambda r: r.last)
    fall = first - best.last
    room = [r for r in runs if not r.diverged and first - r.last >= ENOUGH * fall]
    advised = min(room, key=lambda r: r.rate) if room else best
    code = "fine"
    if math.isfinite(best.last) and fall >= FALLS * abs(first):
        if advised.rate >= FEW * rate and not _arrives(own or mine, advised.last, fall):
            code = "lr_too_low"
        highest = max((r for r in room if r.rate < rate), key=lambda r: r.rate, default=None)
        if code == "fine" and highest is not None and first - mine.last < FALLS * fall:
            return Verdict("lr_too_high", rate, highest.rate, first, runs)
    return Verdict(code, rate, advised.rate, first, runs)


def _arrives(own: Ran, goal: float, fall: float) -> bool:
    """Whether a long run comes within a tenth of the fall of where the best rate got."""
    window = min(LAST, max(1, len(own.losses) // 3))
    means = [sum(own.losses[i : i + window]) / window for i in range(len(own.losses) - window + 1)]
    return any(mean <= goal + (1 - ENOUGH) * fall for mean in means)
