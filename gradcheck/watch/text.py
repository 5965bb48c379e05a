"""What a person reads about a watched script."""

from __future__ import annotations

from gradcheck.checks.lib.words import plural
from gradcheck.report.text import DEEPER, INDENT
from gradcheck.result import Finding
from gradcheck.watch.run import Seen, Wanted

MOST_LINES = 6
"""Supporting lines of a finding that are shown."""


def text_of(seen: Seen, wanted: Wanted, *, verbose: bool = False) -> str:
    """Findings, the place first; notes; a last line that says what was looked at."""
    lines: list[str] = []
    for finding in seen.findings:
        lines += finding_lines(finding, wanted.script, verbose)
    if seen.problem is not None:
        lines.append(f"{seen.where or wanted.script}  {seen.problem}")
    if seen.could:
        lines += [f"{INDENT}note: {note}" for note in seen.notes]
        lines.append(closing(seen, wanted))
    return "\n".join(lines)


def finding_lines(finding: Finding, script: str, verbose: bool) -> list[str]:
    head = f"{finding.where or script}  {finding.message}"
    more = finding.lines if verbose else finding.lines[:MOST_LINES]
    lines = [head, *(DEEPER + line for line in more)]
    fix = finding.data.get("fix")
    if fix:
        lines.append(f"{INDENT}fix: {fix}")
    elif finding.advice:
        lines.append(f"{INDENT}try: {finding.advice}")
    return lines


def closing(seen: Seen, wanted: Wanted) -> str:
    """What was looked at: a green that saw nothing must not look like one."""
    facts = seen.facts
    names = sum(len(o["names"]) for o in facts["optimizers"])
    parts = [plural(facts["steps"], "step"), plural(names, "parameter")]
    proof = facts.get("proof")
    if proof and proof["entries"]:
        parts.append(f"{proof['entries']} gradient entries of {proof['calls']} op calls")
    if seen.verdict is not None:
        parts.append(f"{len(seen.verdict.runs)} learning rates")
    found = plural(len(seen.findings), "finding") if seen.findings else "nothing found"
    return f"{wanted.script}  {found}; looked at {', '.join(parts)}"
