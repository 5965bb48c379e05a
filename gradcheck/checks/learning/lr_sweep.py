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
AS_FAR = 0.01
"""Share of the way down by which a rate may fall short and still get as far as the best."""
RISEN = 1.1
"""A last loss of so many times the first one has risen."""


@dataclass(frozen=True)
class Trial:
    """Training at one rate. final: its last loss, inf if it diverged; at: the step of that."""

    first: float
    final: float
    at: int | None = None


@dataclass(frozen=True)
class Sweep:
    """What the rates led to. better: a rate with room to the cliff: the lowest one that gets as far
    as any, else the one half a decade below the best; None where no other reaches the goal."""

    rate: float
    goal: float
    better: float | None
    trials: Mapping[float, Trial]

    @property
    def code(self) -> str:
        if self.better is None:
            return "no_rate_helps"
        if self.better < self.rate:
            return "lr_too_high"
        return "not_overfit" if self.rises else "lr_too_low"

    @property
    def rises(self) -> bool:
        """Whether the loss goes up at the case's own rate: then it is not merely too low."""
        own = self.trials[self.rate]
        return own.final > RISEN * max(abs(own.first), 1e-12)

    @property
    def verdict(self) -> str:
        own = self.trials[self.rate]
        if self.better is None:
            if own.at is not None:
                return f"it diverged at step {own.at}, and no other rate helps: look elsewhere"
            return "no learning rate helps: look elsewhere"
        if self.code == "not_overfit":
            return (
                f"it rose from {number(own.first)} at the rate {self.rate:g} and falls at "
                f"{self.better:.1g}: a low rate does not explain that"
            )
        if self.better > self.rate:
            by = times(self.better / self.rate)
            return f"the learning rate {self.rate:g} is too low by about {by}"
        when = "" if own.at is None else f": diverged at step {own.at}"
        return f"the learning rate {self.rate:g} is too high{when}"

    @property
    def advice(self) -> str:
        if self.better is None:
            return (
                "the rate is not to blame: run the checks `graph`, `gradient` and `updates` of "
                "this case, and look at the loss and the labels"
            )
        if self.code == "not_overfit":
            return (
                "look at what the training step does besides optimizer.step() (the check "
                "`updates`), and whether it trains on the labels of the batch"
            )
        lower = f" (about {times(self.rate / self.better)} lower)"
        return (
            f"try lr: {self.better:.1g}{lower if self.better < self.rate else ''}, which gets to "
            f"{number(self.trials[self.better].final)} from the same start"
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


def sweep(subject: Subject, goal: float, steps: int, own: Trial) -> Sweep | None:
    """Try rates by half decades until the verdict is clear. None if the rate cannot be set.

    own: what the case's own rate led to.
    """
    rate = _own_rate(subject)
    if rate is None:
        return None
    trials: dict[float, Trial] = {}
    size = sum(int(subject.get(n).size) for n in subject.parameters)
    low, high = next((low, high) for least, low, high in GUIDE if size >= least)
    grid = _grid(rate)
    start = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / math.sqrt(low * high))))
    here = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / rate)))
    trials[grid[here]] = own

    def reaches(i: int) -> bool:
        if not 0 <= i < len(grid) or i == here:
            return False
        if grid[i] not in trials:
            trials[grid[i]] = train_at(subject, steps, lr=grid[i])
        return trials[grid[i]].final <= goal

    order = sorted(range(len(grid)), key=lambda i: abs(i - start))
    first = next((i for i in order if reaches(i)), None)
    if first is None:
        return Sweep(rate, goal, None, trials)
    good = [first]
    for toward in (1, -1):
        i = first + toward
        while reaches(i):
            good.append(i)
            i += toward
    best = min(good, key=lambda i: trials[grid[i]].final)
    lowest = trials[grid[best]].final
    as_good = lowest + AS_FAR * max(own.first - lowest, 0.0)
    chosen = min(i for i in good if trials[grid[i]].final <= as_good)
    if chosen == best and best - 1 in good:
        chosen = best - 1
    return Sweep(rate, goal, grid[chosen], trials)


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


def train_at(subject: Subject, steps: int, **changes: float) -> Trial:
    """Train from the start with some arguments of the optimizer changed; stop once it diverged."""
    run = subject.fresh()
    run.optimizer = run.make_optimizer(**changes)
    losses: list[float] = []
    for step in range(steps + 1):
        if step < steps:
            loss = run.train_step()
        else:
            loss = float(run.value(run.forward()).reshape(-1)[0])
        losses.append(loss)
        if not math.isfinite(loss) or loss > DIVERGED * max(abs(losses[0]), 1.0):
            return Trial(losses[0], math.inf, step)
    if not all(finite(run.get(n)) for n in run.parameters):
        return Trial(losses[0], math.inf, steps)
    return Trial(losses[0], losses[-1])
