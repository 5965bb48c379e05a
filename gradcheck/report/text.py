"""The text of a failure: verdict with place, findings, diagnosis, YAML lines, re-run line."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gradcheck.report.plots import figure_lines

if TYPE_CHECKING:
    from gradcheck.result import Finding, Result
    from gradcheck.yamlcases.case import Case

MOST_LINES = 20
MOST_YAML_LINES = 6
INDENT = "  "
DEEPER = "     "


class Failure:
    """What `repr_failure` returns: the text, and a headline for pytest's short summary."""

    def __init__(self, text: str, headline: str) -> None:
        self.text = text
        self.reprcrash = SimpleNamespace(message=headline)

    def toterminal(self, tw: Any) -> None:
        first, _, rest = self.text.partition("\n")
        tw.line(first, red=True, bold=True)
        for line in rest.splitlines():
            tw.line(line)

    def __str__(self) -> str:
        return self.text


def failure_text(
    case: Case,
    check_name: str,
    result: Result,
    *,
    seed: int,
    verbose: bool | int = False,
    rerun: str | None = None,
    note: str | None = None,
) -> str:
    """What a person reads about a failed check: at most 20 lines unless `verbose`; no traceback.

    rerun: the node id to type, where it is not `file::case::check`. note: a sentence that comes
    before the findings (an expected failure that did not come).
    """
    place = case.place
    node = rerun or f"{place.file}::{case.name}::{check_name}"
    at = f"{place.file}:{place.line}" if place.line else place.file
    head = [f"{at}  {case.name}::{check_name}  FAILED"]
    if note:
        head.append(INDENT + note)
    tail = [INDENT + line for line in figure_lines(result.figures)]
    tail += [f"{INDENT}note: {sentence}" for sentence in result.notes]
    if verbose:
        yaml = yaml_lines(place.text, place.line, check_name, 10**6)
    else:
        tail = tail[:3]
        yaml = yaml_lines(place.text, place.line, check_name, MOST_YAML_LINES)
    last = f"{INDENT}re-run: pytest --gradcheck {quoted(node)} --gradcheck-seed {seed}"
    room = 10**6 if verbose else MOST_LINES - len(head) - len(tail) - len(yaml) - 1
    body = finding_lines(result.findings, room)
    return "\n".join([*head, *body, *tail, *yaml, last])


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


def yaml_lines(text: str, first: int, check_name: str, most: int) -> list[str]:
    """The lines of the case, numbered; of a long case the first ones and that of the check."""
    lines = text.rstrip().splitlines()
    numbered = [(first + i, line) for i, line in enumerate(lines) if line.strip()]
    if len(numbered) > most:
        at = next(
            (
                i
                for i, (_, line) in enumerate(numbered)
                if line.strip().startswith(f"{check_name}:")
            ),
            None,
        )
        if at is None or at < most - 1:
            kept: list[tuple[int, str] | None] = [*numbered[: most - 1], None]
        else:
            kept = [*numbered[: most - 2], None, numbered[at]]
    else:
        kept = list(numbered)
    width = len(str(numbered[-1][0])) if numbered else 1
    return [
        f"{INDENT}{'...':>{width}}" if row is None else f"{INDENT}{row[0]:>{width}} | {row[1]}"
        for row in kept
    ]


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
