"""The contestants by name, and their cells as a Markdown table."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .verdict import (
    CAUGHT,
    FALSE_ALARM,
    MISSED,
    NOT_APPLICABLE,
    NOT_RUN,
    QUIET,
    WARNED,
    Cell,
    Subject,
)

BEGIN = "<!-- measured by benchmarks/peers.py: begin -->"
END = "<!-- measured by benchmarks/peers.py: end -->"


@dataclass(frozen=True)
class Contestant:
    """title: its column. module and args: `peers.module.contestant(*args)` yields its cells."""

    key: str
    title: str
    distribution: str
    module: str
    args: tuple[Any, ...] = ()

    def version(self) -> str | None:
        """None when it is not installed."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def cells(self) -> Iterable[Cell]:
        return importlib.import_module(f"peers.{self.module}").contestant(*self.args)


CONTESTANTS = (
    Contestant("gradcheck", "gradcheck", "pytest-gradcheck", "ours", ("tinytorch",)),
    Contestant("gradcheck_torch", "gradcheck on PyTorch", "torch", "ours", ("pytorch",)),
    Contestant("torch_slow", "torch gradcheck", "torch", "torch_gradcheck", (False,)),
    Contestant("torch_fast", "torch gradcheck, fast", "torch", "torch_gradcheck", (True,)),
    Contestant("jax", "jax check_grads", "jax", "jax_check_grads"),
    Contestant("central", "central differences", "numpy", "central_differences"),
    Contestant("torchtest2", "torchtest2", "torchtest2", "torchtest"),
    Contestant("pytest_torch", "pytest-torch", "pytest-torch", "pytest_torch_helpers"),
)

NONE = "-"
SHOWN = {NOT_APPLICABLE: NONE, NOT_RUN: "not run", QUIET: "quiet", MISSED: "missed"}


def markdown(results: Mapping[str, Any], chosen: Sequence[Contestant]) -> str:
    """Three tables (faults in ops, faults in models and loops, correct things) and the totals."""
    from . import models, ops

    groups: tuple[tuple[str, Sequence[Subject]], ...] = (
        ("A wrong backward", ops.FAULTS),
        ("A wrong model, loss, loop or data", models.FAULTS),
        ("Correct things", [*ops.CORRECT, *models.CORRECT]),
    )
    parts = [_conditions(chosen)]
    for title, subjects in groups:
        rows = [_row(s.title, [_cell(results[c.key], s.id) for c in chosen]) for s in subjects]
        totals = [_total(results[c.key], subjects) for c in chosen]
        seconds = [_seconds(results, c, chosen[0], subjects) for c in chosen]
        head = [_row(title, [c.title for c in chosen]), "|---" * (len(chosen) + 1) + "|"]
        last = [_row("**total**", totals), _row("seconds (ratio to gradcheck)", seconds)]
        parts.append("\n".join([*head, *rows, *last]))
    return "\n\n".join(parts)


def _conditions(chosen: Sequence[Contestant]) -> str:
    versions = {c.distribution: c.version() or "not installed" for c in chosen}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Measured on {datetime.date.today().isoformat()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, one thread, one process a contestant: {listed}."
    )


def _row(first: str, cells: Iterable[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def _cell(result: Mapping[str, Any], id: str) -> str:
    if "missing" in result:
        return "not installed"
    cell = result["cells"][id]
    verdict = cell["verdict"]
    if verdict in (CAUGHT, WARNED):
        named = "".join(f" + {what}" for what in cell["named"])
        return f"**{verdict}**{named}" if verdict == CAUGHT else f"{verdict}{named}"
    return f"**{verdict}**" if verdict == FALSE_ALARM else SHOWN[verdict]


def _total(result: Mapping[str, Any], subjects: Sequence[Subject]) -> str:
    if "missing" in result:
        return "not installed"
    verdicts = [result["cells"][s.id]["verdict"] for s in subjects]
    run = [v for v in verdicts if v not in (NOT_APPLICABLE, NOT_RUN)]
    if not run:
        return NONE
    if subjects[0].correct:
        alarms = run.count(FALSE_ALARM)
        return f"{alarms} false alarm{'s' * (alarms != 1)} of {len(run)}"
    return f"{run.count(CAUGHT)} of {len(run)}"


def _seconds(
    results: Mapping[str, Any],
    contestant: Contestant,
    first: Contestant,
    subjects: Sequence[Subject],
) -> str:
    """The time for those subjects that both ran, and its ratio."""
    mine, theirs = results[contestant.key], results[first.key]
    if "missing" in mine or "missing" in theirs:
        return "not installed"
    both = [
        s.id
        for s in subjects
        if mine["cells"][s.id]["verdict"] not in (NOT_APPLICABLE, NOT_RUN)
        and theirs["cells"][s.id]["verdict"] not in (NOT_APPLICABLE, NOT_RUN)
    ]
    if not both:
        return NONE
    total, reference = (sum(r["cells"][i]["seconds"] for i in both) for r in (mine, theirs))
    return f"{total:.1f} ({total / reference:.2g})"


def write(path: Path, text: str) -> None:
    """Replace the text between the markers of `path`. Raises SystemExit without markers."""
    whole = path.read_text(encoding="utf-8")
    if BEGIN not in whole or END not in whole:
        raise SystemExit(f"{path} lacks the lines {BEGIN!r} and {END!r}; add them and run again")
    before, after = whole.split(BEGIN)[0], whole.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
