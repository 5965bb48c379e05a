"""From a result to the outcome of a test: what the case expects, and what a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcheck.report.text import failure_text, unexpected_pass

if TYPE_CHECKING:
    from gradcheck.result import Result
    from gradcheck.yamlcases.case import Case


@dataclass(frozen=True)
class Verdict:
    """outcome: 'passed', 'failed', 'skipped' or 'xfailed'. reason: why, where it is not passed and
    no finding says it. text, headline: of a failure, in full and in one sentence."""

    outcome: str
    reason: str | None = None
    text: str | None = None
    headline: str = ""


def judge(
    case: Case,
    check: str,
    result: Result,
    *,
    seed: int,
    verbose: bool = False,
    rerun: str | None = None,
    runxfail: bool = False,
) -> Verdict:
    """The verdict under the case's `xfail`; runxfail: as if it had none. See `failure_text`."""
    expected = [x for x in case.xfail if x.check == check]
    found = {finding.code for finding in result.findings}
    missing = [x.finding for x in expected if x.finding not in found]
    if expected and not missing and not runxfail:
        reasons = [x.reason for x in expected if x.reason]
        return Verdict("xfailed", "; ".join(reasons) or f"finding {expected[0].finding}")
    note = unexpected_pass(missing, result) if missing else None
    if result.outcome != "failed" and note is None:
        return Verdict(result.outcome, result.reason)
    text = failure_text(case, check, result, seed=seed, verbose=verbose, rerun=rerun, note=note)
    headline = note or (result.findings[0].message if result.findings else result.reason or "")
    return Verdict("failed", note, text, headline)
