"""A wrong gradient that is wrong because values leave the graph: the line, and what to declare."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gradcheck.numerics.end_to_end.explain import Explained
from gradcheck.probe.stops import Exit
from gradcheck.result import Finding

HOW = {
    "detach": "it is detached",
    "rebuilt": "it is read as an array",
    "item": "it is read as a number",
    "no_grad": "it is computed without a graph",
}
"""How a value leaves the graph, by the kind of the cut."""
SHOWN = 4
"""Lines that a finding names."""


def with_exits(findings: Sequence[Finding], explained: Explained | None) -> list[Finding]:
    """Say which lines explain the findings, and how to declare them as meant; the first finding
    says it in full."""
    told: list[Finding] = []
    full = False
    for finding in findings:
        names = {finding.parameter, finding.op}
        if explained is None or not names & explained.names:
            told.append(finding)
            continue
        told.append(_with(finding, explained.exits, full=not full))
        full = True
    return told


def _with(finding: Finding, exits: Sequence[Exit], *, full: bool) -> Finding:
    places = [str(e.at) for e in exits]
    lines, advice = ["it has the same cause"], None
    if full:
        declared = f"`stop: [{', '.join(places[:SHOWN])}]`"
        advice = (
            f"keep the value in the graph; if the cut is meant, declare {declared} of this check"
        )
        lines = [f"the cause is a value that leaves the graph: {_said(e)}" for e in exits[:SHOWN]]
        if len(exits) > SHOWN:
            lines.append(f"and {len(exits) - SHOWN} more such lines")
        lines.append("with that value held, the gradient is right")
    return dataclasses.replace(
        finding,
        where=finding.where or places[0],
        lines=(*finding.lines, *lines),
        advice=advice,
        data={**finding.data, "stop": places},
    )


def _said(exit: Exit) -> str:
    return f"{HOW.get(exit.kind, exit.kind)} at {exit}"
