"""Other learning rates from the same start: is the rate too low, too high, or not to blame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gradcheck.checks.lib.words import about, number, plural
from gradcheck.probe.subject import Subject, SubjectError

GUIDE = (
    (100e6, "100M and more", 1e-4, 3e-4),
    (10e6, "10M to 100M", 3e-4, 1e-3),
    (1e6, "1M to 10M", 1e-3, 1e-2),
    (0, "below 1M", 1e-2, 1e-1),
)
"""Learning rates by number of parameters: where the sweep starts, not what is right."""
LOWEST, HIGHEST = 1e-7, 300.0
HALF_DECADE = math.sqrt(10.0)


@dataclass
class Sweep:
    """What the rates led to. final: rate -> last loss (inf where it diverged)."""

    rate: float
    final: dict[float, float] = field(default_factory=dict)
    first: float = float("nan")
    diverged: dict[float, int] = field(default_factory=dict)
    code: str = "no_rate_helps"
    verdict: str = "no learning rate helps: look elsewhere"
    advice: str = (
        "the rate is not to blame: run the checks `graph`, `gradient` and `updates` of this case, "
        "and look at the loss and the labels"
    )
    lines: list[str] = field(default_factory=list)

    def figure(self) -> dict[str, Any]:
        rates = sorted(self.final)
        return {"lr": rates, "final": [self.final[r] for r in rates], "first": self.first}


def sweep(subject: Subject, goal: float, options: Any) -> Sweep | None:
    """Try rates by half decades until the verdict is clear. None where the rate cannot be set."""
    rate = _own_rate(subject)
    if rate is None:
        return None
    found = Sweep(rate)
    steps = options.sweep_steps or options.steps
    size = sum(int(subject.get(n).size) for n in subject.parameters)
    _, words, low, high = next(g for g in GUIDE if size >= g[0])
    grid = _grid(rate)
    start = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / math.sqrt(low * high))))
    own = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / rate)))

    def reaches(i: int) -> bool:
        if grid[i] not in found.final:
            _run(subject, grid[i], steps, goal, found)
        return found.final[grid[i]] <= goal

    reaches(own)
    order = sorted(range(len(grid)), key=lambda i: abs(i - start))
    best = next((i for i in order if i != own and reaches(i)), None)
    if best is not None:
        toward = 1 if own > best else -1
        while best + toward != own and reaches(best + toward):
            best += toward
    _judge(found, None if best is None else grid[best], goal)
    found.lines.append(_row(found, goal))
    found.lines.append(
        f"guide for {plural(size, 'parameter')} ({words}): {low:g} to {high:g}; the sweep "
        "started there"
    )
    return found


def _own_rate(subject: Subject) -> float | None:
    """The case's rate: as written, or as its optimizer shows it; None where `lr` is no argument."""
    spec = subject.optimizer_spec
    try:
        subject.make_optimizer(lr=1e-3)
    except (TypeError, SubjectError):
        return None
    if isinstance(spec.args.get("lr"), (int, float)):
        rate = float(spec.args["lr"])
    else:
        from gradcheck.checks.lib.watching import settings

        rate = float(settings(subject.make_optimizer()).get("lr", 0.0))
    return rate if rate > 0 and math.isfinite(rate) else None


def _grid(rate: float) -> list[float]:
    """Half decades through `rate`, over everything that was ever a sensible rate."""
    down = max(0, math.floor(math.log(rate / LOWEST, HALF_DECADE)))
    up = max(0, math.floor(math.log(HIGHEST / rate, HALF_DECADE)))
    return [rate * HALF_DECADE**k for k in range(-down, up + 1)]


def _run(subject: Subject, rate: float, steps: int, goal: float, found: Sweep) -> None:
    """Train afresh at one rate; stop when the goal is reached or it has clearly diverged."""
    from gradcheck.checks.learning.overfit import finite

    run = subject.fresh()
    run.optimizer = run.make_optimizer(lr=rate)
    first = None
    for step in range(steps + 1):
        if step < steps:
            loss = run.train_step()
        else:
            loss = float(run.value(run.forward()).reshape(-1)[0])
        if first is None:
            first = found.first = loss
        if not math.isfinite(loss) or loss > 100 * max(abs(first), 1.0):
            found.final[rate] = math.inf
            found.diverged[rate] = step
            return
        found.final[rate] = loss
        if loss <= goal:
            break
    if not all(finite(run.get(n)) for n in run.parameters):
        found.final[rate] = math.inf
        found.diverged[rate] = steps


def _judge(found: Sweep, better: float | None, goal: float) -> None:
    own = found.rate
    if better is None:
        if own in found.diverged:
            at = found.diverged[own]
            found.verdict = f"it diverged at step {at}, and no other rate helps: look elsewhere"
        return
    if better > own:
        found.code = "lr_too_low"
        found.verdict = f"the learning rate {own:g} is too low by about {about(better / own)}"
        found.advice = f"try lr: {better:.1g}, which gets below {number(goal)} from the same start"
        return
    found.code = "lr_too_high"
    when = f": diverged at step {found.diverged[own]}" if own in found.diverged else ""
    found.verdict = f"the learning rate {own:g} is too high{when}"
    found.advice = (
        f"try lr: {better:.1g} (about {about(own / better)} lower), which gets below "
        f"{number(goal)} from the same start"
    )


def _row(found: Sweep, goal: float) -> str:
    cells = []
    for rate in sorted(found.final):
        value = found.final[rate]
        mark = "*" if rate == found.rate else ""
        text = "diverged" if math.isinf(value) else number(value)
        cells.append(f"{rate:.1g}{mark}: {text}")
    if len(cells) > 9:
        cells = [*cells[:4], "...", *cells[-4:]]
    return f"last loss by learning rate (* the case's): {', '.join(cells)}"
