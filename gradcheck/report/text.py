"""The text of a failure: verdict with place, findings, diagnosis, YAML lines, re-run line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcheck.report.entry import Entry
from gradcheck.report.plots import figure_lines
from gradcheck.result import Finding, Result

MOST_LINES = 20
MOST_TAIL_LINES = 3
UNLIMITED = 10**6
"""More lines than any failure has."""
INDENT = "  "
DEEPER = "     "


def failure_text(
    entry: Entry, *, verbose: bool = False, rerun: str | None = None, note: str | None = None
) -> str:
    """What a person reads about a failed check: at most 20 lines unless `verbose`; no traceback.

    rerun: the node id to type, where it is not that of the entry. note: a sentence that comes
    before the findings (an expected failure that did not come).
    """
    at = f"{entry.file}:{entry.line}" if entry.line else entry.file
    head = [f"{at}  {entry.case}::{entry.check}  FAILED"]
    if note:
        head.append(INDENT + note)
    tail = [INDENT + line for line in figure_lines(entry.figures)]
    tail += [f"{INDENT}note: {sentence}" for sentence in entry.notes]
    if not verbose:
        tail = tail[:MOST_TAIL_LINES]
    yaml = yaml_lines(entry, whole=verbose)
    node = quoted(rerun or entry.nodeid)
    last = f"{INDENT}re-run: pytest --gradcheck {node} --gradcheck-seed {entry.seed}"
    room = UNLIMITED if verbose else MOST_LINES - len(head) - len(tail) - len(yaml) - 1
    return "\n".join([*head, *finding_lines(entry.findings, room), *tail, *yaml, last])


def result_text(result: Result, *, verbose: bool = False) -> str:
    """What a person reads about a result without a case: its verdict, and why. As long as a
    `failure_text`, and with the same order."""
    head = f"{result.title}  {result.outcome.upper()}".strip()
    if result.outcome == "skipped":
        return f"{head}: {result.reason}"
    if result.outcome == "passed":
        return "\n".join([head, *(f"{INDENT}note: {sentence}" for sentence in result.notes)])
    tail = [INDENT + line for line in figure_lines(result.figures)]
    tail += [f"{INDENT}note: {sentence}" for sentence in result.notes]
    if not verbose:
        tail = tail[:MOST_TAIL_LINES]
    room = UNLIMITED if verbose else MOST_LINES - 1 - len(tail)
    return "\n".join([head, *finding_lines(result.findings, room), *tail])


def quoted(node: str) -> str:
    """`node` in double quotes; in single ones where a shell would read something into them."""
    if any(c in node for c in '"$`\\!'):
        import shlex

        return shlex.quote(node)
    return f'"{node}"'


def finding_lines(findings: Sequence[Finding], room: int) -> list[str]:
    """The findings in at most `room` lines: the first in full, then as many as fit."""
    lines: list[str] = []
    for i, finding in enumerate(findings):
        block = one_finding(finding)
        left = len(findings) - i - 1
        space = room - len(lines) - (1 if left else 0)
        if len(block) > space:
            if i == 0:
                lines += cut_middle(block, max(space, 3))
                continue
            if space > 0 and len(block) > 1:
                lines.append(block[0])
                continue
            lines.append(f"{INDENT}and {counted(left + 1, 'more finding')}; -vv shows all")
            break
        lines += block
    return lines


def one_finding(finding: Finding) -> list[str]:
    """message, supporting lines, advice."""
    lines = [INDENT + part for part in finding.message.splitlines()]
    lines += [DEEPER + part for line in finding.lines for part in line.splitlines()]
    if finding.advice:
        lines += [INDENT + part for part in finding.advice.splitlines()]
    return lines


def cut_middle(block: list[str], space: int) -> list[str]:
    """The block in `space` lines; its last line (the advice) stays."""
    if len(block) <= space:
        return block
    left_out = len(block) - space + 1
    return [*block[: space - 2], f"{DEEPER}... {counted(left_out, 'more line')} (-vv)", block[-1]]


def yaml_lines(entry: Entry, *, whole: bool) -> list[str]:
    """The lines of the case, numbered: that of its name and that of its check, or all of them."""
    first = entry.line or 0
    lines = [(first + i, line) for i, line in enumerate(entry.yaml.rstrip().splitlines())]
    numbered = [(number, line) for number, line in lines if line.strip()]
    if not numbered:
        return []
    if not whole:
        numbered = [numbered[0], *line_of_check(numbered[1:], str(entry.check))]
    width = len(str(numbered[-1][0]))
    return [f"{INDENT}{number:>{width}} | {line}" for number, line in numbered]


def line_of_check(numbered: Sequence[tuple[int, str]], check: str) -> list[tuple[int, str]]:
    """`graph:` in a line of its own, else the line of `checks:` that has it; [] for neither, as
    when a case has the default checks."""
    own = [row for row in numbered if row[1].strip().startswith(f"{check}:")]
    among = [row for row in numbered if row[1].strip().startswith("checks:") and check in row[1]]
    return [*own, *among][:1]


def unexpected_pass(missing: Sequence[str], result: Result) -> str:
    """The sentence for a strict xfail whose finding did not come."""
    wanted = " and ".join(repr(code) for code in missing)
    if result.outcome == "skipped":
        return (
            f"xfail expects finding {wanted}, but the check did not run: {result.reason}; "
            "correct the case or remove its xfail"
        )
    if not result.findings:
        return (
            f"xfail expects finding {wanted}, but the check passed; "
            "if the fault is repaired, remove the xfail"
        )
    found = ", ".join(sorted({repr(f.code) for f in result.findings}))
    return f"xfail expects finding {wanted}, but the check found {found}"


def error_text(errors: Sequence[Any]) -> str:
    """Every error of a case file, one `file:line:column: message` each."""
    return "\n".join(str(error) for error in errors)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
