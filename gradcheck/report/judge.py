"""From a result to the outcome of a test: what the case expects, and what a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gradcheck.report.entry import Entry
from gradcheck.report.text import failure_text, unexpected_pass
from gradcheck.result import Result


class ExpectedFinding(Protocol):
    """One `xfail` of a case for the check that is judged."""

    @property
    def finding(self) -> str: ...

    @property
    def reason(self) -> str | None: ...


def judge(
    entry: Entry,
    result: Result,
    expected: Sequence[ExpectedFinding],
    *,
    verbose: bool = False,
    rerun: str | None = None,
    runxfail: bool = False,
) -> Entry:
    """The entry with its result, outcome and, when it failed, the text (see `failure_text`).

    runxfail: judge as if nothing were expected.
    """
    entry = entry.with_result(result)
    found = {finding.code for finding in result.findings}
    missing = [x.finding for x in expected if x.finding not in found]
    if expected and not missing and not runxfail:
        reasons = [x.reason for x in expected if x.reason]
        reason = "; ".join(reasons) or f"finding {expected[0].finding}"
        return entry.but(outcome="xfailed", reason=reason)
    note = unexpected_pass(missing, result) if missing else None
    if result.outcome != "failed" and note is None:
        return entry
    text = failure_text(entry, verbose=verbose, rerun=rerun, note=note)
    return entry.but(outcome="failed", reason=note, text=text)
