"""The section of the terminal summary: quiet, with -v measurements, with -vv a table per tensor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck.report.entry import OUTCOMES, Entry
from gradcheck.report.plots import figure_lines

SLOWEST = 3


def summary_lines(
    entries: Sequence[Entry], plugin_failures: Sequence[str], verbosity: int
) -> list[str]:
    """Counts per check, the worst relative error and where, the slowest three. Nothing, when
    no case ran and no plugin failed."""
    lines = [f"plugin failure: {sentence}" for sentence in plugin_failures]
    if not entries:
        return lines
    if verbosity > 0:
        for entry in entries:
            lines += entry_lines(entry, tables=verbosity > 1)
    lines += counts(entries)
    worst = worst_line(entries)
    if worst:
        lines.append(worst)
    slowest = sorted(entries, key=lambda e: -e.seconds)[:SLOWEST]
    shown = [f"{e.seconds:.2f} s {e.nodeid}" for e in slowest if e.seconds >= 0.005]
    if shown:
        lines.append("slowest: " + "\n         ".join(shown))
    return "\n".join(lines).splitlines()


def counts(entries: Sequence[Entry]) -> list[str]:
    """`gradient   12 passed, 1 failed`, a line per check, in the order they were first met."""
    by_check: dict[str, Counter[str]] = {}
    for entry in entries:
        by_check.setdefault(entry.check or "case file", Counter())[entry.outcome] += 1
    width = max(len(name) for name in by_check)
    return [
        f"{name:<{width}}  " + ", ".join(f"{count[o]} {o}" for o in OUTCOMES if count[o])
        for name, count in by_check.items()
    ]


def worst_line(entries: Sequence[Entry]) -> str | None:
    """The largest relative error of the whole run; expected failures do not count."""
    worst: tuple[float, str, str | None] | None = None
    for entry in entries:
        found = None if entry.outcome == "xfailed" else entry.worst_relative_error
        if found is not None:
            error = math.inf if math.isnan(found[0]) else found[0]
            if worst is None or error > worst[0]:
                worst = (error, entry.nodeid, found[1])
    if worst is None:
        return None
    tensor = f" ({worst[2]})" if worst[2] else ""
    return f"worst relative error: {worst[0]:.1e} in {worst[1]}{tensor}"


def entry_lines(entry: Entry, *, tables: bool) -> list[str]:
    """The measurements of one item, its curves, and with `tables` its tensors one by one."""
    scalars: dict[str, Any] = {}
    per_tensor: dict[str, Any] = {}
    for name, value in entry.measurements.items():
        (per_tensor if isinstance(value, (Mapping, list)) else scalars)[name] = value
    figures = figure_lines(entry.figures)
    notes = entry.notes
    if entry.outcome == "skipped":
        return [f"{entry.nodeid}  skipped: {entry.reason or 'no reason given'}"]
    if not (scalars or per_tensor or figures or notes):
        return []
    said = ", ".join(f"{name} {shown(value)}" for name, value in scalars.items())
    lines = [f"{entry.nodeid}  {said}".rstrip()]
    lines += [f"  {line}" for line in [*figures, *notes]]
    if tables:
        for name, value in per_tensor.items():
            value = by_first_column(value)
            if value:
                lines += [f"  {line}" for line in table(name, value)]
    lines += [] if len(lines) == 1 else [""]
    return lines


def by_first_column(value: Any) -> dict[str, Any]:
    """A mapping as it is; a list of mappings keyed by their first values; {} for anything else."""
    if isinstance(value, Mapping):
        return dict(value)
    if not all(isinstance(row, Mapping) and row for row in value):
        return {}
    return {str(next(iter(row.values()))): dict(list(row.items())[1:]) for row in value}


def table(name: str, rows: Mapping[str, Any]) -> list[str]:
    """A mapping of names to values, or to mappings, in aligned columns."""
    columns = list(dict.fromkeys(c for r in rows.values() if isinstance(r, Mapping) for c in r))
    cells = [[name, *columns]] if columns else [["", name]]
    for row, value in rows.items():
        if isinstance(value, Mapping):
            cells.append([row, *(shown(value.get(c, "")) for c in columns)])
        else:
            cells.append([row, shown(value), *[""] * (len(cells[0]) - 2)])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in cells]


def shown(value: Any) -> str:
    """A measurement in few characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return "x".join(shown(v) for v in value)
    return str(value)
