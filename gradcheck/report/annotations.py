"""Failures as annotations on the changed files, in GitHub Actions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck.report.entry import headline


def in_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotation_lines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One workflow command per failed item, at the line of its case."""
    return [
        f"::error file={escaped(entry['file'])},line={entry['line'] or 1},"
        f"title={escaped(title(entry))}::{escaped_message(headline(dict(entry)))}"
        for entry in entries
        if entry["outcome"] in ("failed", "error")
    ]


def title(entry: Mapping[str, Any]) -> str:
    return f"{entry['case']}::{entry['check']}" if entry["check"] else "case file"


def escaped_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped(text: str) -> str:
    """For a property, where ':' and ',' separate."""
    return escaped_message(text).replace(":", "%3A").replace(",", "%2C")
