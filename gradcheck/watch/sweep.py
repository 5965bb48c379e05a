"""The learning rate, judged by the losses that other rates reach from the same start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
SLOW = 1 / 3
"""A rate at which the loss falls by a larger share of the best fall is not called too low: a convex
loss falls faster at ever higher rates, and nobody needs that."""
FEW = 8.0
"""A rate this many times higher must be better before the own one is called too low: within it,
schedules and longer training make up for the difference."""
LONGER, SEEN = 10, 4
"""The own rate has so many times as many steps to get where the best one got; of a script whose
steps take long, at least SEEN times as many must have been seen."""


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
    """code: 'lr_too_low', 'lr_too_high' or 'fine'. best: the rate to advise. goal: the loss that
    the own rate has to reach, given longer, to be no cause of complaint."""

    code: str
    rate: float
    best: float | None
    first: float
    runs: Sequence[Ran]
    goal: float | None = None

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
    verdict = judge(rate, runs)
    last = min((r.last for r in runs), default=math.inf)
    return math.isnan(verdict.first) or verdict.first - last < FALLS * abs(verdict.first)


def judge(rate: float, runs: Sequence[Ran]) -> Verdict:
    """The verdict of equally many steps at each rate. 'lr_too_low' is a suspicion: `confirm` it."""
    starts = [r.losses[0] for r in runs if r.losses and math.isfinite(r.losses[0])]
    mine = next((r for r in runs if r.rate == rate), None)
    first = starts[0] if starts else math.nan
    if mine is None or not starts:
        return Verdict("fine", rate, None, first, runs)
    best = min(runs, key=lambda r: r.last)
    fall = first - best.last
    room = [r for r in runs if not r.diverged and first - r.last >= ENOUGH * fall]
    advised = min(room, key=lambda r: r.rate) if room else best
    if not math.isfinite(best.last) or fall < FALLS * abs(first):
        return Verdict("fine", rate, advised.rate, first, runs)
    if advised.rate >= FEW * rate and first - mine.last < SLOW * fall:
        goal = advised.last + (1 - ENOUGH) * fall
        return Verdict("lr_too_low", rate, advised.rate, first, runs, goal)
    highest = max((r for r in room if r.rate < rate), key=lambda r: r.rate, default=None)
    if highest is not None and first - mine.last < FALLS * fall:
        return Verdict("lr_too_high", rate, highest.rate, first, runs)
    return Verdict("fine", rate, advised.rate, first, runs)


def confirm(verdict: Verdict, own: Ran, steps: int) -> Verdict | None:
    """Whether a rate is too low, by a long run at it: fine if it arrives at the goal, None if it
    was too short to say. steps: of the other runs."""
    assert verdict.goal is not None
    means = [sum(own.losses[i : i + LAST]) / LAST for i in range(len(own.losses) - LAST + 1)]
    if any(mean <= verdict.goal for mean in means):
        return replace(verdict, code="fine")
    if own.how == "time" and len(own.losses) < SEEN * steps:
        return None
    return verdict
