"""One check under a time limit, in whatever process this is."""

from __future__ import annotations

from collections.abc import Collection

from gradcheck.engine import run_check
from gradcheck.guard.deadline import TimedOut, deadline
from gradcheck.names.registry import Registry
from gradcheck.result import Finding, Result
from gradcheck.source.line import with_code
from gradcheck.yamlcases.case import Case


def run_timed(
    case: Case,
    check: str,
    registry: Registry,
    *,
    seed: int | None,
    default: float | None = None,
    others: Collection[str] = (),
) -> Result:
    """What the check found, or the finding that it took too long. default: the limit, in seconds,
    of a case without `timeout`; None for none. others: as for `engine.run_check`."""
    limit = limit_of(case, default)
    try:
        with deadline(limit):
            return run_check(case, check, registry, seed=seed, others=others)
    except TimedOut as error:
        assert limit is not None
        return Result(findings=(too_long(case, check, limit, error.where),))


def limit_of(case: Case, default: float | None) -> float | None:
    """Seconds that a check of the case may take."""
    return default if case.timeout is None else case.timeout


def too_long(case: Case, check: str, limit: float, where: str | None) -> Finding:
    """where: 'file:line' of the user's code that was running."""
    own = case.timeout is not None
    said = "the case's timeout of" if own else "the limit for every check,"
    return Finding(
        code="timeout",
        message=f"{check} took longer than {said} {limit:g} s",
        where=where,
        lines=(f"it was at {with_code(where)}",) if where else (),
        advice="raise `timeout`, or make the case smaller"
        if own
        else "give the case a `timeout` of its own, or make it smaller",
    )
