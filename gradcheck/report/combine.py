"""The entry of a check that ran in shards, from how each of them ended."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.report import entry as entries
from gradcheck.report.judge import judge
from gradcheck.result import Finding, Result
from gradcheck.shards import Shard
from gradcheck.together import Outcome, named

Entry = dict[str, Any]
Merge = Callable[[str, str, dict[str, Any], Sequence[Outcome]], Result | None]
"""(node id, check, options, outcomes) -> the result, None when the check is not known here."""


@dataclass(frozen=True)
class Ended:
    """How a shard ended. entry: as it came with the report; None when its worker died. skipped: the
    reason. error: what was raised, in the phase `when`, though the check itself found nothing."""

    number: int
    entry: Entry | None
    skipped: str | None = None
    error: str | None = None
    when: str = ""

    def outcome(self, of: int) -> Outcome:
        shard = Shard(self.number, of)
        if self.error is not None:
            return Outcome(shard, finding=self.broken(self.error))
        if self.skipped is not None:
            return Outcome(shard, finding=Finding(code="shard_skipped", message=self.skipped))
        assert self.entry is not None
        told = self.entry["shard"]
        finding = None if told["finding"] is None else Finding.from_json(told["finding"])
        return Outcome(shard, told["part"], finding)

    def broken(self, error: str) -> Finding:
        if self.entry is None:
            return Finding(code="worker_lost", message=error)
        return Finding(code="error", message=f"{self.when} failed: {entries.raised(error)}")


def combined(
    whole: str,
    of: int,
    ended: Sequence[Ended],
    missing: set[int],
    merge: Merge,
    *,
    verbose: bool,
    runxfail: bool,
) -> Entry:
    """One entry for the check `whole`. missing: shards that were to run and did not.

    A pass needs every shard. Where only some were selected, a finding of theirs counts, and
    without one there is no verdict: the check is skipped.
    """
    ended = sorted(ended, key=lambda e: e.number)
    told = [e.entry for e in ended if e.entry is not None]
    broken = [e for e in ended if e.error is not None]
    if not told:  # every worker died
        return entries.lost_entry(whole, "; ".join(str(e.error) for e in broken))
    entry = {k: v for k, v in told[0].items() if k != "shard"}
    entry["seconds"] = sum(e["seconds"] for e in told)
    entry["order"] = min(e["order"] for e in told)
    skipped = [e.skipped for e in ended if e.skipped is not None]
    if len(skipped) == len(ended) and not missing:
        return {**entry, "outcome": "skipped", "reason": skipped[0]}
    shard = told[0]["shard"]
    outcomes = [e.outcome(of) for e in ended]
    result, error = _result(lambda: merge(whole, entry["check"], shard["options"], outcomes))
    raised = {entries.raised(e.error): e.error for e in broken if e.error and e.entry}
    traces = [*raised.values(), *([] if error is None else [error])]
    xfail = shard["xfail"]
    if missing:
        result = dataclasses.replace(result, findings=(_stopped(ended, of), *result.findings))
    elif len(ended) < of:
        result, xfail = _of_some(result, ended, of), xfail if result.findings else []
    bad = bool(broken or missing or error is not None)
    verdict = judge(
        case_of(entry, [] if bad else xfail),
        entry["check"],
        result,
        seed=entry["seed"],
        verbose=verbose,
        rerun=shard["rerun"],
        runxfail=runxfail,
    )
    entry.update(result.to_json())
    entry.update(outcome=verdict.outcome, reason=verdict.reason, text=verdict.text)
    if bad:
        entry.update(outcome="error", text="\n".join([str(verdict.text), *traces]).rstrip())
    return entry


def _result(merge: Callable[[], Result | None]) -> tuple[Result, str | None]:
    """What `merge` makes; else a finding that says why it makes nothing, and the traceback."""
    try:
        result = merge()
    except Exception as bug:  # of a check that cannot merge what its shards saw
        said = f"merge raised {type(bug).__name__}: {' '.join(str(bug).split())}"
        finding = Finding(code="error", message=said)
        return Result(findings=(finding,)), traceback.format_exc()
    if result is not None:
        return result, None
    finding = Finding(
        code="error",
        message="the shards cannot be put together: the check comes from a conftest.py that only "
        "the workers read",
        advice="make it a plugin, move it to the topmost conftest.py, or run without -n",
    )
    return Result(findings=(finding,)), ""


def _of_some(result: Result, ended: Sequence[Ended], of: int) -> Result:
    """When only some shards were selected."""
    ran = f"{len(ended)} of {of} shards ran ({named([Shard(e.number, of) for e in ended])})"
    if result.outcome == "passed":
        return Result.skipped(f"{ran} and found nothing wrong: no verdict on the whole")
    return dataclasses.replace(result, notes=(*result.notes, f"only {ran}"))


def case_of(entry: Entry, xfail: list[dict[str, Any]]) -> Any:
    """As much of the case as a verdict and its text need."""
    from gradcheck.yamlcases.case import Case, Place, Xfail

    return Case.model_construct(
        name=entry["case"],
        place=Place(file=entry["file"], line=entry["line"], text=entry["yaml"]),
        xfail=tuple(Xfail(**x) for x in xfail),
    )


def _stopped(ended: Sequence[Ended], of: int) -> Finding:
    return Finding(
        code="incomplete",
        message=f"{len(ended)} of {of} shards ran, then the run was stopped: no verdict",
        advice="run it again, without what stopped it",
    )
