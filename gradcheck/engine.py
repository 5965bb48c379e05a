"""Case -> subject -> check -> result, without pytest."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from gradcheck.crash import crash
from gradcheck.dependents import where_it_runs, without_consequences
from gradcheck.guard.deadline import TimedOut
from gradcheck.guard.ending import no_exit
from gradcheck.guard.interrupts import interrupts
from gradcheck.guard.state import State
from gradcheck.names.registry import Registry
from gradcheck.numerics.telling.blame import at_home
from gradcheck.probe.from_case import CaseSubject
from gradcheck.probe.subject import NotJudged
from gradcheck.report.entry import Entry
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


def run_check(
    case: Case,
    check_name: str,
    registry: Registry,
    *,
    seed: int | None = None,
    others: Collection[str] = (),
) -> Result:
    """Run one check of `case` on a fresh subject.

    An exception that comes from the user's code (model, op, data, step) is a finding, with the
    user's line; one that comes from gradcheck itself is a bug and is raised. So it is with what
    would end or skip the run: `sys.exit()`, `os._exit()`, `pytest.skip()`, a KeyboardInterrupt that
    is not the user's ^C. What the subject changed in the process is put back and told.

    others: checks of the case that are run and reported beside this one; what one of them reports
    as the cause is not reported again (see `dependents`).
    """
    state = State()
    try:
        with interrupts() as interrupted, no_exit():
            result = _judged(case, check_name, registry, seed, others, interrupted)
    finally:
        changed = state.restored()
    if changed.nothing:
        return result
    replaced = changed.finding(case.subject_name)
    if replaced is not None and case.op is not None:
        replaced = dataclasses.replace(replaced, op=case.op)
        replaced = at_home(replaced, registry.get("op", case.op, case.framework).where)
    return dataclasses.replace(
        result,
        findings=result.findings if replaced is None else (replaced, *result.findings),
        notes=(*result.notes, *changed.notes),
        reason=result.reason if replaced is None else None,
    )


def _judged(
    case: Case,
    check_name: str,
    registry: Registry,
    seed: int | None,
    others: Collection[str],
    interrupted: interrupts,
) -> Result:
    def run(name: str) -> Result:
        return _run(case, name, registry, seed, interrupted)

    result = run(check_name)
    if not others or result.outcome != "failed":
        return result
    try:
        return without_consequences(case, check_name, result, others, registry, seed=seed, run=run)
    except KeyboardInterrupt:
        if interrupted.by_user:
            raise
        return result


def _run(
    case: Case, check_name: str, registry: Registry, seed: int | None, interrupted: interrupts
) -> Result:
    check = registry.get("check", check_name).value
    reason = check.applies(case)
    if reason is not None:
        return Result.skipped(f"{check_name} does not apply: {reason}")
    options = check.Options.model_validate(case.checks.get(check_name) or {})
    try:
        # Checks provoke overflow and report it (a rate that diverges); numpy need not warn of it.
        with np.errstate(all="ignore"):
            before = np.geterr()
            result: Result = check.run(CaseSubject(case, registry, seed=seed), options)
            if np.geterr() == before:
                return result
        said = "np.seterr was called; numpy handles floating-point errors as before again"
        return dataclasses.replace(result, notes=(*result.notes, said))
    except NotJudged as error:
        return Result.skipped(f"not judged: {error}")
    except TimedOut:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and interrupted.by_user:
            raise
        finding = crash_of(case, error)
        if finding is None:
            raise
        if case.op is not None:
            finding = at_home(finding, registry.get("op", case.op, case.framework).where)
        return Result(findings=(where_it_runs(finding, case, check_name, registry, seed),))


def crash_of(case: Case, error: BaseException) -> Finding | None:
    """A finding for an exception out of what the case names; None when it is gradcheck's own."""
    place = case.place
    return crash(
        error,
        name=case.subject_name,
        is_op=case.op is not None,
        declared=f"{place.file}:{place.line}" if place.file else None,
    )


def check(case: Case, registry: Registry, *, seed: int | None = None) -> dict[str, Any]:
    """Every check of a case: name -> Result. A cause that several checks meet fails one of them."""
    names = list(case.checks)
    return {name: run_check(case, name, registry, seed=seed, others=names) for name in names}


def entry_of(case: Case, check_name: str, *, seed: int) -> Entry:
    """What a report says about a check of `case` before it ran."""
    place = case.place
    return Entry(
        nodeid=f"{place.file}::{case.name}::{check_name}",
        file=place.file,
        line=place.line,
        case=case.name,
        check=check_name,
        subject=case.subject_name,
        framework=case.framework,
        seed=seed,
        yaml=place.text,
    )
