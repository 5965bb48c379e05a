"""Run the case's own checks before the first update: training a broken model wastes time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gradcheck.engine import entry_of, run_check
from gradcheck.names.registry import Registry
from gradcheck.report.text import failure_text
from gradcheck.yamlcases.case import Case

BUDGET_SECONDS = 20.0
"""No check starts after this time; the remaining ones are reported as not run."""

QUICK_FIRST = ("graph", "init", "alignment", "loader", "updates", "causality", "overfit")
"""The fast checks, most informative first; the other checks of the case follow."""


@dataclass
class Verdict:
    """failed: the failure text of each red check. not_run: those that no time was left for."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


def examine(
    case: Case,
    registry: Registry,
    *,
    seed: int | None = None,
    budget: float = BUDGET_SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Run the checks of the case, quick ones first. An expected failure also counts as one."""
    verdict = Verdict()
    started = time.perf_counter()
    order = sorted(
        case.checks, key=lambda n: QUICK_FIRST.index(n) if n in QUICK_FIRST else len(QUICK_FIRST)
    )
    for i, name in enumerate(order):
        if time.perf_counter() - started > budget:
            verdict.not_run.append(name)
            continue
        begun = time.perf_counter()
        result = run_check(case, name, registry, seed=seed, others=order[:i])
        if result.outcome == "failed":
            used = case.seed if seed is None else seed
            entry = entry_of(case, name, seed=used).with_result(result)
            verdict.failed.append(failure_text(entry))
        elif result.outcome == "passed":
            verdict.passed.append(name)
        tell(f"  {name:18} {result.outcome:8} {time.perf_counter() - begun:.1f} s")
    return verdict
