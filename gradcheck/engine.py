"""Case -> subject -> check -> result, without pytest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from gradcheck.checks.base import shards_of
from gradcheck.crash import crash
from gradcheck.names.registry import Registry
from gradcheck.numerics.telling.blame import at_home
from gradcheck.probe.subject import Subject
from gradcheck.report.entry import Entry
from gradcheck.result import Finding, Result, plain
from gradcheck.shards import Shard
from gradcheck.together import Outcome, put_together
from gradcheck.yamlcases.case import Case

T = TypeVar("T")


def run_check(
    case: Case, check_name: str, registry: Registry, *, seed: int | None = None
) -> Result:
    """Run one check of `case` on a fresh subject; a check in shards, one shard after the other.

    An exception that comes from the user's code (model, op, data, step) is a finding, with the
    user's line; one that comes from gradcheck itself is a bug and is raised.
    """
    check = registry.get("check", check_name).value
    reason = check.applies(case)
    if reason is not None:
        return Result.skipped(f"{check_name} does not apply: {reason}")
    count = shards_of(check, case, check_name)
    if count > 1:
        outcomes = [
            run_shard(case, check_name, registry, shard, seed=seed) for shard in Shard.all(count)
        ]
        return merge_shards(check, case.checks[check_name], outcomes)
    options = check.Options.model_validate(case.checks.get(check_name) or {})
    found = _guarded(case, registry, lambda: check.run(Subject(case, registry, seed=seed), options))
    return Result(findings=(found,)) if isinstance(found, Finding) else found


def run_shard(
    case: Case, check_name: str, registry: Registry, shard: Shard, *, seed: int | None = None
) -> Outcome:
    """One shard of a check that is `Shardable`, on a fresh subject. See `run_check`."""
    check = registry.get("check", check_name).value
    options = check.Options.model_validate(case.checks[check_name])
    found = _guarded(
        case, registry, lambda: check.run_shard(Subject(case, registry, seed=seed), options, shard)
    )
    if isinstance(found, Finding):
        return Outcome(shard, finding=found)
    return Outcome(shard, part=plain(found))


def merge_shards(check: Any, given: dict[str, Any], outcomes: Sequence[Outcome]) -> Result:
    """The result of a check from its shards. given: its options as the case has them."""
    options = check.Options.model_validate(given)
    return put_together(outcomes, lambda parts: check.merge(parts, options))


def _guarded(case: Case, registry: Registry, run: Callable[[], T]) -> T | Finding:
    try:
        # Overflow is what checks provoke and report (a rate that diverges): no warnings besides.
        with np.errstate(all="ignore"):
            return run()
    except Exception as error:
        finding = crash(error, case)
        if finding is None:
            raise
        if case.op is not None:
            finding = at_home(finding, registry.get("op", case.op, case.framework).where)
        return finding


def check(case: Case, registry: Registry, *, seed: int | None = None) -> dict[str, Any]:
    """Every check of a case: name -> Result."""
    return {name: run_check(case, name, registry, seed=seed) for name in case.checks}


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
