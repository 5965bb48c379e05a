"""A result as a small piece of HTML, for the cell of a notebook that it ends."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from gradcheck.report.plots import figure_lines
from gradcheck.report.terminal import shown
from gradcheck.result import Finding, Result

COLOURS = {"passed": "#1a7f37", "failed": "#b42318", "skipped": "#8a6d00"}
"""Readable on white and on a notebook's dark grey."""


def result_html(result: Result) -> str:
    """Verdict, findings with their lines and advice, notes, and the measurements folded away."""
    colour = COLOURS[result.outcome]
    parts = [
        f'<div style="border-left:4px solid {colour};padding:2px 0 2px 12px">',
        f'<div><b style="color:{colour}">{result.outcome.upper()}</b> {escape(result.title)}</div>',
    ]
    if result.reason:
        parts.append(f"<div>{escape(result.reason)}</div>")
    parts += [finding_html(finding) for finding in result.findings]
    parts += paragraphs("note: " + sentence for sentence in result.notes)
    curves = figure_lines(result.figures)
    if curves:
        parts.append(preformatted(curves))
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(shown(value))}</td></tr>"
        for name, value in result.measurements.items()
        if isinstance(value, (bool, int, float, str))
    )
    if rows:
        parts.append(f"<details><summary>measurements</summary><table>{rows}</table></details>")
    return "".join([*parts, "</div>"])


def finding_html(finding: Finding) -> str:
    lines = [part for line in finding.lines for part in line.splitlines()]
    text = "".join(paragraphs([finding.message], bold=True))
    text += preformatted(lines) if lines else ""
    if finding.advice:
        text += f"<div><b>fix:</b> {escape(finding.advice)}</div>"
    return text


def paragraphs(sentences: Iterable[str], *, bold: bool = False) -> list[str]:
    weight = ' style="font-weight:600"' if bold else ""
    return [f"<div{weight}>{escape(sentence)}</div>" for sentence in sentences]


def preformatted(lines: Iterable[str]) -> str:
    return f'<pre style="margin:2px 0 2px 16px">{escape(chr(10).join(lines))}</pre>'
