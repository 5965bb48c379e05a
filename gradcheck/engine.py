"""Case -> subject -> check -> result, without pytest."""

from __future__ import annotations

import os
import traceback
from typing import Any

from gradcheck.case import Case
from gradcheck.registry import Registry
from gradcheck.result import Finding, Result
from gradcheck.subject import Subject

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


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
        return check.run(Subject(case, registry, seed=seed), options)
    except Exception as error:
        finding = crash(error, case)
        if finding is None:
            raise
        return Result(findings=(finding,))


def crash(error: Exception, case: Case) -> Finding | None:
    """A finding for an exception from outside gradcheck; None when it is gradcheck's own."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if not os.path.abspath(f.filename).startswith(_HERE)]
    deliberate = type(error).__module__.split(".")[0] in ("gradcheck", "tinytorch")
    if not outside and not deliberate:
        return None
    message = " ".join(str(error).split()) or type(error).__name__
    last = outside[-1] if outside else None
    user = next((f for f in reversed(outside) if "site-packages" not in f.filename), last)
    return Finding(
        code="crashed",
        message=f"{case.subject_name} raised {type(error).__name__}: {message}",
        where=f"{user.filename}:{user.lineno}" if user else None,
        lines=(f"at {user.filename}:{user.lineno}   {user.line}",) if user else (),
        advice="make the case run on its own first; nothing can be checked before it does",
    )


def check(case: Case, registry: Registry, *, seed: int | None = None) -> dict[str, Any]:
    """Every check of a case: name -> Result."""
    return {name: run_check(case, name, registry, seed=seed) for name in case.checks}
