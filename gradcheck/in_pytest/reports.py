"""From pytest's reports to entries: how an entry travels, and what a report says without one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gradcheck.report import clean
from gradcheck.report.entry import Entry
from gradcheck.result import Finding

PROPERTY = "gradcheck"
"""The name in `user_properties` under which an entry travels, as JSON, from the item to the
process that reports."""

ASSERTED = "gradcheck-asserted"
"""The same for the entries of a test that uses the fixture: a list of them."""


def attach(properties: list[tuple[str, object]], entry: Entry) -> None:
    """Put the entry into the `user_properties` of its item, in place of an earlier one."""
    properties[:] = [p for p in properties if p[0] != PROPERTY]
    properties.append((PROPERTY, entry.to_json()))


def entry_in(report: pytest.TestReport) -> Entry | None:
    """The entry that came with a report; None when it is a report of something else."""
    values = dict(report.user_properties).get(PROPERTY)
    return Entry.from_json(values) if isinstance(values, dict) else None


def attach_asserted(properties: list[tuple[str, object]], entries: Sequence[Entry]) -> None:
    """Put the entries of a test that uses the fixture into its `user_properties`."""
    properties[:] = [p for p in properties if p[0] != ASSERTED]
    properties.append((ASSERTED, [entry.to_json() for entry in entries]))


def asserted_in(report: pytest.TestReport) -> list[Entry]:
    """Take the entries of a test out of its report. A failure that the test expected, so that it
    passed or is an expected failure, is one here too."""
    found = dict(report.user_properties).get(ASSERTED)
    if not isinstance(found, list):
        return []
    report.user_properties[:] = [p for p in report.user_properties if p[0] != ASSERTED]
    entries = [Entry.from_json(values) for values in found]
    if report.outcome == "failed":
        return entries
    return [
        e.but(outcome="xfailed", reason="the test expects it", text=None) if e.failed else e
        for e in entries
    ]


def lost_entry(nodeid: str, said: str, dump: str = "") -> Entry:
    """The entry of an item whose process died while it ran. dump: what faulthandler wrote there."""
    from gradcheck.guard.death import Death, fatal

    _, case, check = [*nodeid.split("::"), None, None][:3]
    line = Death(1, dump).line
    lines = [f"at {line}   {line.code}".rstrip()] if line else []
    if fatal(dump):
        lines.insert(0, fatal(dump))
    finding = Finding(
        code="worker_lost",
        message=said,
        where=None if line is None else str(line),
        lines=tuple(lines),
        advice="the case runs in a process of its own from now on; `isolate: true` "
        "says so for good",
    )
    text = "\n".join([said, *lines])
    return Entry.at(nodeid, case=case, check=check, outcome="error", findings=(finding,), text=text)


def stopped_entry(entry: Entry, report: pytest.TestReport) -> Entry:
    """The entry of an item that was skipped by a mark or whose setup or teardown failed."""
    if report.outcome == "skipped":
        return entry.but(outcome="skipped", reason=skip_reason(report))
    text = clean.text(str(report.longrepr))
    finding = Finding(code="error", message=f"{report.when} failed: {raised(text)}")
    return entry.but(outcome="error", findings=(*entry.findings, finding), text=text)


def raised(traceback: str) -> str:
    """The exception that pytest's traceback ends with."""
    lines = traceback.strip().splitlines() or [""]
    marked = [line[1:].strip() for line in lines if line.startswith("E   ")]
    return marked[-1] if marked else lines[-1]


def skip_reason(report: pytest.TestReport) -> str:
    longrepr = report.longrepr
    reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(reason).removeprefix("Skipped: ")


def junit_properties(entry: Entry) -> list[tuple[str, str]]:
    """What of an entry is worth a line in a junit file: the seed and the plain measurements."""
    found = [("gradcheck_outcome", str(entry.outcome)), ("gradcheck_seed", str(entry.seed))]
    for name, value in entry.measurements.items():
        if isinstance(value, (int, float, str)):
            found.append((f"gradcheck_{name}", str(value)))
    return found + [("gradcheck_finding", finding.code) for finding in entry.findings]
