"""Other learning rates from the same start: is the rate too low, too high, or not to blame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradcheck.checks.lib.probing import finite
from gradcheck.checks.lib.watching import settings
from gradcheck.checks.lib.words import number, times
from gradcheck.probe.subject import Subject, SubjectError

GUIDE = (
    (100e6, 1e-4, 3e-4),
    (10e6, 3e-4, 1e-3),
    (1e6, 1e-3, 1e-2),
    (0, 1e-2, 1e-1),
)
"""(at least so many parameters, usual rates from, to): where the sweep starts, not a verdict."""
LOWEST, HIGHEST = 1e-7, 300.0
HALF_DECADE = math.sqrt(10.0)


DIVERGED = 100.0
"""A loss of so many times the first one (or 1, if that is smaller) has diverged."""


@dataclass(frozen=True)
class Trial:
    """Training at one rate. final: its last loss, inf if it diverged; at: the step of that."""

    first: float
    final: float
    at: int | None = None


@dataclass(frozen=True)
class Sweep:
    """What the rates led to. better: the rate nearest to the case's own that reaches the goal."""

    rate: float
    goal: float
    better: float | None
    trials: Mapping[float, Trial]

    @property
    def code(self) -> str:
        if self.better is None:
            return "no_rate_helps"
        return "lr_too_low" if self.better > self.rate else "lr_too_high"

    @property
    def verdict(self) -> str:
        at = self.trials[self.rate].at
        if self.better is None:
            if at is not None:
                return f"it diverged at step {at}, and no other rate helps: look elsewhere"
            return "no learning rate helps: look elsewhere"
        if self.better > self.rate:
            by = times(self.better / self.rate)
            return f"the learning rate {self.rate:g} is too low by about {by}"
        when = "" if at is None else f": diverged at step {at}"
        return f"the learning rate {self.rate:g} is too high{when}"

    @property
    def advice(self) -> str:
        if self.better is None:
            return (
                "the rate is not to blame: run the checks `graph`, `gradient` and `updates` of "
                "this case, and look at the loss and the labels"
            )
        lower = f" (about {times(self.rate / self.better)} lower)"
        return (
            f"try lr: {self.better:.1g}{lower if self.better < self.rate else ''}, which gets "
            f"below {number(self.goal)} from the same start"
        )

    def row(self) -> str:
        cells = []
        for rate, trial in sorted(self.trials.items()):
            mark = "*" if rate == self.rate else ""
            text = "diverged" if math.isinf(trial.final) else number(trial.final)
            cells.append(f"{rate:.1g}{mark}: {text}")
        if len(cells) > 9:
            cells = [*cells[:4], "...", *cells[-4:]]
        return f"last loss by learning rate (* the case's): {', '.join(cells)}"

    def figure(self) -> dict[str, Any]:
        rates = sorted(self.trials)
        last = list(self.trials.values())[-1]
        final = [self.trials[r].final for r in rates]
        return {"lr": rates, "final": final, "first": last.first}


def sweep(subject: Subject, goal: float, steps: int) -> Sweep | None:
    """Try rates by half decades until the verdict is clear. None if the rate cannot be set."""
    rate = _own_rate(subject)
    if rate is None:
        return None
    trials: dict[float, Trial] = {}
    size = sum(int(subject.get(n).size) for n in subject.parameters)
    low, high = next((low, high) for least, low, high in GUIDE if size >= least)
    grid = _grid(rate)
    start = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / math.sqrt(low * high))))
    own = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / rate)))

    def reaches(i: int) -> bool:
        if grid[i] not in trials:
            trials[grid[i]] = _train_at(subject, grid[i], steps, goal)
        return trials[grid[i]].final <= goal

    reaches(own)
    order = sorted(range(len(grid)), key=lambda i: abs(i - start))
    best = next((i for i in order if i != own and reaches(i)), None)
    if best is not None:
        toward = 1 if own > best else -1
        while best + toward != own and reaches(best + toward):
            best += toward
    return Sweep(rate, goal, None if best is None else grid[best], trials)


def _own_rate(subject: Subject) -> float | None:
    """The rate as given, or as the optimizer shows it; None if `lr` is not an argument."""
    spec = subject.optimizer_spec
    try:
        subject.make_optimizer(lr=1e-3)
    except (TypeError, SubjectError):
        return None
    if isinstance(spec.args.get("lr"), (int, float)):
        rate = float(spec.args["lr"])
    else:
        rate = float(settings(subject.make_optimizer()).get("lr", 0.0))
    return rate if rate > 0 and math.isfinite(rate) else None


def _grid(rate: float) -> list[float]:
    """Half decades through `rate`, over every rate that was ever sensible."""
    down = max(0, math.floor(math.log(rate / LOWEST, HALF_DECADE)))
    up = max(0, math.floor(math.log(HIGHEST / rate, HALF_DECADE)))
    return [rate * HALF_DECADE**k for k in range(-down, up + 1)]


def _train_at(subject: Subject, rate: float, steps: int, goal: float) -> Trial:
    """Train from the start at one rate; stop once it reaches the goal or has clearly diverged."""
    run = subject.fresh()
    run.optimizer = run.make_optimizer(lr=rate)
    losses: list[float] = []
    for step in range(steps + 1):
        if step < steps:
            loss = run.train_step()
        else:
            loss = float(run.value(run.forward()).reshape(-1)[0])
        losses.append(loss)
        if not math.isfinite(loss) or loss > DIVERGED * max(abs(losses[0]), 1.0):
            return Trial(losses[0], math.inf, step)
        if loss <= goal:
            break
    if not all(finite(run.get(n)) for n in run.parameters):
        return Trial(losses[0], math.inf, steps)
    return Trial(losses[0], losses[-1])
