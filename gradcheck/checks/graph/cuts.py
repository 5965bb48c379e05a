"""A cut of the graph in words: its line, the tensor that was cut off, the parameters behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcheck.checks.graph.advice import advice
from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.lib.about import about
from gradcheck.checks.lib.words import number, some
from gradcheck.frameworks.protocol import Cut
from gradcheck.result import Finding


def responsible(cuts: Sequence[Cut], name: str) -> int | None:
    """Which cut costs a parameter its gradient: the nearest to the loss that all its ways to the
    loss go through; if there is none, the nearest that lies on one of them."""
    for named in ("only", "upstream"):
        for index, cut in enumerate(cuts):
            if name in getattr(cut, named):
                return index
    return None


def place(cut: Cut) -> str:
    """The line that a finding about a cut points at. Cuts of the same line are one finding."""
    return cut.inside or cut.where


def cut_finding(report: GraphReport, cuts: Sequence[Cut], behind: list[str]) -> Finding:
    """The finding for the cuts at one line; `behind` are the parameters that they cut off."""
    cut = cuts[0]
    partial = cut in report.partial
    share = "only a part of their gradient" if partial else "no gradient"
    lines = [f"the graph is cut at {_at(cut)}"]
    if cut.inside is not None:
        called = ", ".join(dict.fromkeys(c.where for c in cuts))
        lines = [f"the graph is cut inside the library, at {_at(cut)}", f"called at {called}"]
    left = dict.fromkeys(c.left for c in cuts if c.left is not None)
    lines.extend(f"its values left the graph at {line}" for line in left)
    *others, last = dict.fromkeys(map(_source, cuts))
    lines.extend([*others, f"{last}; upstream of the cut: {some(behind)}"])
    lines.extend(_further(report.cuts, cut))
    first = report.states[behind[0]]
    analytic, numeric = first.analytic or 0.0, first.numeric
    if partial:
        analytic, numeric = report.slopes[report.partial.index(cut)]
        lines.append(
            f"along a random direction of them the gradient says {number(analytic)}, the loss "
            f"changes by {number(numeric)}"
        )
    else:
        lines.extend(table([report.states[n] for n in behind]))
    return about(
        behind,
        "cut",
        f"{len(behind)} of {len(report.states)} parameters get {share} from the loss",
        advice(cut),
        where=place(cut),
        op=cut.source,
        analytic=analytic,
        numeric=numeric,
        lines=tuple(lines),
        data={
            "kind": cut.kind,
            "text": cut.text,
            "user_line": cut.where,
            "source_where": cut.source_where,
        },
    )


def _further(cuts: Sequence[Cut], cut: Cut) -> Iterable[str]:
    """Cuts of other lines behind this one: repairing it alone does not bring all gradients back."""
    behind = cuts[cuts.index(cut) + 1 :] if cut in cuts else ()
    others = [c for c in behind if set(c.upstream) <= set(cut.upstream) and place(c) != place(cut)]
    return dict.fromkeys(f"further upstream it is cut again at {_at(c)}" for c in others)


def _source(cut: Cut) -> str:
    if cut.kind == "no_grad":
        return f"first operation without a graph: {cut.source} at {cut.source_where}"
    name = f"`{cut.name}`" if cut.name else f"the tensor of shape {cut.shape}"
    made = f" was made at {cut.source_where}" if cut.source_where else " comes from outside"
    if cut.source_where in (cut.where, cut.left):
        made = " was made on the same line"
    return f"{name}{made}" + (f" by {cut.source}" if cut.source else "")


def _at(cut: Cut) -> str:
    return f"{place(cut)}   {cut.text}"


def table(states: list[State], limit: int = 200) -> list[str]:
    """One row a parameter: name, shape, norm of the gradient, numeric slope, state.

    The terminal shows the first few unless it is asked for more (-vv).
    """
    rows = [
        (
            s.name,
            "x".join(map(str, s.shape)) or "()",
            number(s.analytic),
            "-" if s.numeric is None else number(s.numeric),
            s.status,
        )
        for s in states[:limit]
    ]
    widths = [max(len(r[i]) for r in rows) for i in range(4)]
    lines = [
        f"{n:<{widths[0]}}  {s:<{widths[1]}}  grad {a:<{widths[2]}}  numeric {m:<{widths[3]}}  {w}"
        for n, s, a, m, w in rows
    ]
    if len(states) > limit:
        lines.append(f"... and {len(states) - limit} more")
    return lines
