"""Failures as annotations on the changed files, in GitHub Actions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gradcheck.report.entry import Entry
from gradcheck.result import Finding
from gradcheck.source.line import Line

MOST_LINES = 4
"""Supporting lines of an annotation, which is a small box."""


def in_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotation_lines(entries: Sequence[Entry], rootdir: Path) -> list[str]:
    """One workflow command per failed item: at the line of the bug, where that lies in the
    checkout, else at the line of its case.

    rootdir: what the entries' files are relative to. GitHub counts them from the checkout, of which
    it may be a folder.
    """
    lines = []
    for entry in entries:
        if entry.failed:
            file, line = place(entry, rootdir)
            lines.append(
                f"::error file={escaped(file)},line={line},title={escaped(title(entry))}::"
                f"{escaped_message(message(entry))}"
            )
    return lines


def place(entry: Entry, rootdir: Path) -> tuple[str, int]:
    """(file in the checkout, line): of the bug, if it is the user's, else of the case."""
    for finding in entry.findings:
        at = bug_line(finding)
        file = None if at is None else below_checkout(at.file, rootdir)
        if at is not None and file is not None:
            return file, at.line
    return in_checkout(entry.file, rootdir), entry.line or 1


def bug_line(finding: Finding) -> Line | None:
    """The line that a finding names: of the cut, of the backward, of what raised."""
    named = (line.partition(" at ")[2].split("  ")[0].strip() for line in finding.lines)
    places = [finding.where, *(n for n in named if n.rpartition(":")[2].isdigit())]
    return next((at for at in map(Line.parse, places) if at is not None), None)


def below_checkout(file: str, rootdir: Path) -> str | None:
    """The path of an existing file, as GitHub names it; None for a file of somebody else."""
    path = Path(file) if Path(file).is_absolute() else Path.cwd() / file
    checkout = Path(os.environ.get("GITHUB_WORKSPACE") or rootdir).resolve()
    if not path.is_file() or "site-packages" in path.parts:
        return None
    try:
        return path.resolve().relative_to(checkout).as_posix()
    except ValueError:
        return None


def message(entry: Entry) -> str:
    """The headline, the lines below it, and the advice."""
    first = entry.findings[:1]
    more = [part for f in first for part in (*f.lines[:MOST_LINES], f.advice or "") if part]
    return "\n".join([entry.headline, *more])


def in_checkout(file: str, rootdir: Path) -> str:
    checkout = os.environ.get("GITHUB_WORKSPACE")
    try:
        return (
            (rootdir / file).resolve().relative_to(Path(checkout or rootdir).resolve()).as_posix()
        )
    except ValueError:
        return file


def title(entry: Entry) -> str:
    return f"{entry.case}::{entry.check}" if entry.check else "case file"


def escaped_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped(text: str) -> str:
    """For a property, where ':' and ',' separate."""
    return escaped_message(text).replace(":", "%3A").replace(",", "%2C")
