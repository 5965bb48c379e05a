"""Failures as annotations on the changed files, in GitHub Actions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gradcheck.report.entry import Entry


def in_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotation_lines(entries: Sequence[Entry], rootdir: Path) -> list[str]:
    """One workflow command per failed item, at the line of its case.

    rootdir: what the entries' files are relative to. GitHub counts them from the checkout, of which
    it may be a folder.
    """
    return [
        f"::error file={escaped(in_checkout(entry.file, rootdir))},line={entry.line or 1},"
        f"title={escaped(title(entry))}::{escaped_message(entry.headline)}"
        for entry in entries
        if entry.failed
    ]


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
