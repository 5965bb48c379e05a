"""One cause, one failure: what another check of the case already reports is 'not judged' here.

Checks run alone, perhaps in other processes, so nothing is remembered between them. A check that
failed asks instead: it runs the check that would report the cause, which is cheap or stops at once,
and steps back only if that one really fails with it. A check that passes pays nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable

import numpy as np

from gradcheck.crash import MAKE_IT_RUN
from gradcheck.guard.deadline import TimedOut
from gradcheck.names.registry import Registry
from gradcheck.probe.from_case import CaseSubject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case

BUILDING, FORWARD, BACKWARD, TRAINING = range(4)
"""How far a subject gets: it can be made, its loss can be computed, differentiated, and trained."""

REACHES = {
    "graph": FORWARD,
    "gradient": BACKWARD,
    "init": FORWARD,
    "accumulation": BACKWARD,
    "updates": TRAINING,
    "overfit": TRAINING,
    "multibatch": TRAINING,
}
"""How far each check goes in any case before it looks at anything; all others only build."""

CAUSES = ("cut", "disconnected", "nothing_trains", "stretched_loss")
"""Findings of `graph` after which gradients, updates and learning say nothing new."""

CONSEQUENCES = {
    "gradient": ("missing_gradient", "wrong_gradient"),
    "updates": ("not_moved", "nothing_moved", "stuck"),
    "overfit": ("lr_too_low", "lr_too_high", "no_rate_helps", "not_overfit"),
    "multibatch": ("loss_not_falling",),
    "accumulation": ("stretched_loss",),
}
"""Findings that such a cause explains. Those of `gradient` and `updates` must be about the tensors
that the cause names; a finding about an op stands by itself."""

JUDGE_ALL = "--gradcheck-judge-all judges it all the same"


def without_consequences(
    case: Case,
    name: str,
    result: Result,
    others: Collection[str],
    registry: Registry,
    *,
    seed: int | None,
    run: Callable[[str], Result],
) -> Result:
    """The result of check `name`, less the findings that one of `others` reports.

    others: the checks of the case that report for themselves in the same run. run: runs one of
    them. What a check is expected to find (`xfail`) is always judged.
    """
    if result.outcome != "failed" or any(x.check == name for x in case.xfail):
        return result
    crashed = next((f for f in result.findings if f.code == "crashed"), None)
    if crashed is not None:
        return _told_crash(case, name, result, crashed, others, registry, seed, run)
    if name in CONSEQUENCES and "graph" in others and name != "graph":
        causes = [f for f in run("graph").findings if f.code in CAUSES]
        if causes:
            return _less(name, result, causes)
    return result


def _less(name: str, result: Result, causes: list[Finding]) -> Result:
    """The result without what the causes, which `graph` finds, explain."""
    behind = {p for cause in causes for p in _parameters(cause)}
    kept = tuple(f for f in result.findings if not _explained(name, f, behind))
    if len(kept) == len(result.findings):
        return result
    first = causes[0]
    at = f" ({first.where})" if first.where else ""
    reason = f"not judged: graph finds that {first.message}{at}; repair that first"
    if not kept:
        return Result.skipped(f"{reason}, or {JUDGE_ALL}")
    return dataclasses.replace(result, findings=kept, notes=(*result.notes, f"in part {reason}"))


def _explained(name: str, finding: Finding, behind: Collection[str]) -> bool:
    if finding.code not in CONSEQUENCES[name]:
        return False
    if name not in ("gradient", "updates") or finding.code == "nothing_moved":
        return True
    return finding.op is None and bool(behind) and set(_parameters(finding)) <= set(behind)


def _parameters(finding: Finding) -> Iterable[str]:
    listed = finding.data.get("parameters")
    if isinstance(listed, (list, tuple)):
        return listed
    return () if finding.parameter is None else (finding.parameter,)


def _told_crash(
    case: Case,
    name: str,
    result: Result,
    crashed: Finding,
    others: Collection[str],
    registry: Registry,
    seed: int | None,
    run: Callable[[str], Result],
) -> Result:
    """Of the checks that all meet the same exception, the first one reports it."""
    stage = raises_at(case, registry, seed)
    if stage is None:
        return result  # this check alone raises
    tellers = [
        c
        for c in case.checks
        if (c == name or c in others)
        and REACHES.get(c, BUILDING) >= stage
        and registry.get("check", c).value.applies(case) is None
    ]
    if not tellers or tellers[0] == name:
        return result
    told = next((f for f in run(tellers[0]).findings if f.code == "crashed"), None)
    if told is None or not _same(told, crashed):
        return result
    at = f", at {told.where}" if told.where else ""
    return Result.skipped(f"not judged: {tellers[0]} fails for the same reason{at}")


def where_it_runs(
    finding: Finding, case: Case, name: str, registry: Registry, seed: int | None
) -> Finding:
    """A crash of one check alone: the case runs by itself, so nobody is told to make it run."""
    if finding.advice != MAKE_IT_RUN or raises_at(case, registry, seed) is not None:
        return finding
    return dataclasses.replace(
        finding,
        advice=f"the case itself runs: what raises is a call that {name} makes, with other values, "
        "another size or in another mode; make that work too, or leave this check out",
    )


def raises_at(case: Case, registry: Registry, seed: int | None) -> int | None:
    """The first stage at which the subject raises; None if it raises at none."""
    stage = BUILDING
    try:
        with np.errstate(all="ignore"):
            subject = CaseSubject(case, registry, seed=seed)
            stage = FORWARD
            wide = subject.fresh(dtype=subject.framework.precision.data)
            output = wide.forward()
            stage = BACKWARD
            wide.zero_grad()
            wide.backward(output, np.ones_like(wide.value(output)) if wide.is_op else None)
            stage = TRAINING
            if subject.has_optimizer and subject.has_data:
                subject.train_step()
    except (TimedOut, KeyboardInterrupt):
        raise
    except BaseException:  # the check that reports it has its line
        return stage
    return None


def _same(one: Finding, other: Finding) -> bool:
    """The same exception at the same line; sizes differ with the batch that a check takes."""
    return one.where == other.where and _wording(one.message) == _wording(other.message)


def _wording(message: str) -> str:
    return re.sub(r"\d+", "#", message)
