"""The summary page of a GitHub Actions job: what ran, and what failed with its text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gradcheck.report.entry import Entry
from gradcheck.report.terminal import counts

MOST = 50
"""Failures that are shown: GitHub cuts a summary at 1 MiB."""


def write_step_summary(entries: Sequence[Entry]) -> None:
    """Append to the file that `GITHUB_STEP_SUMMARY` names; nothing where it names none, or where
    nothing was checked."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path or not entries:
        return
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(step_summary(entries))


def step_summary(entries: Sequence[Entry]) -> str:
    """Markdown: the counts of each check, and each failure as a block that unfolds."""
    failed = [e for e in entries if e.failed]
    lines = ["## gradcheck", "", "```text", *counts(entries), "```", ""]
    for entry in failed[:MOST]:
        lines += [
            f"<details><summary><code>{entry.nodeid}</code></summary>",
            "",
            "````text",
            entry.text or entry.headline,
            "````",
            "",
            "</details>",
            "",
        ]
    if len(failed) > MOST:
        lines += [f"and {len(failed) - MOST} more failures", ""]
    return "\n".join(lines)
