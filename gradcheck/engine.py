"""Case -> subject -> check -> result, without pytest."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.case import Case
from gradcheck.crash import crash
from gradcheck.numerics.blame import at_home
from gradcheck.registry import Registry
from gradcheck.result import Result
from gradcheck.subject import Subject


def run_check(
    case: Case, check_name: str, registry: Registry, *, seed: int | None = None
) -> Result:
    """Run one check of `case` on a fresh subject.

    An exception that comes from the user's code (model, op, data, step) is a finding, with the
    user's line; one that comes from gradcheck itself is a bug and is raised.
    """
    check = registry.get("check", check_name).value
    reason = check.applies(case)
    if reason is not None:
        return Result.skipped(f"{check_name} does not apply: {reason}")
    options = check.Options.model_validate(case.checks.get(check_name) or {})
    try:
        # Overflow is what checks provoke and report (a rate that diverges): no warnings besides.
        with np.errstate(all="ignore"):
            return check.run(Subject(case, registry, seed=seed), options)
    except Exception as error:
        finding = crash(error, case)
        if finding is None:
            raise
        if case.op is not None:
            finding = at_home(finding, registry.get("op", case.op, case.framework).where)
        return Result(findings=(finding,))


def check(case: Case, registry: Registry, *, seed: int | None = None) -> dict[str, Any]:
    """Every check of a case: name -> Result."""
    return {name: run_check(case, name, registry, seed=seed) for name in case.checks}
