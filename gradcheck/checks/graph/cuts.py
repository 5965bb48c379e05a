"""A cut of the graph in words: its line, a small picture around it, the parameters behind it."""

from __future__ import annotations

from gradcheck.checks.graph.advice import advice
from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.lib.words import number, some
from gradcheck.frameworks.protocol import Cut
from gradcheck.result import Finding


def cut_finding(report: GraphReport, cut: Cut, behind: list[str]) -> Finding:
    total = len(report.states)
    share = "no gradient" if cut not in report.partial else "only a part of their gradient"
    lines = [f"the graph is cut at {_at(cut)}"]
    if cut.inside is not None:
        lines = [f"the graph is cut inside the library, at {_at(cut)}", f"called at {cut.where}"]
    if cut.left is not None:
        lines.append(f"its values left the graph at {cut.left}")
    lines.append(f"{_source(cut)}; upstream of the cut: {some(behind)}")
    lines.extend(picture(report, cut, behind))
    for other in report.cuts:
        if other is not cut and set(other.upstream) <= set(cut.upstream):
            lines.append(f"further upstream it is cut again at {_at(other)}")
    first = report.states[behind[0]]
    analytic, numeric = first.analytic or 0.0, first.numeric
    if cut in report.partial:
        analytic, numeric = report.slopes[report.partial.index(cut)]
        lines.append(
            f"along a random direction of them the gradient says {number(analytic)}, the loss "
            f"changes by {number(numeric)}"
        )
    else:
        lines.extend(table([report.states[n] for n in behind]))
    return Finding(
        code="cut",
        message=f"{len(behind)} of {total} parameters get {share} from the loss",
        parameter=behind[0],
        where=cut.inside or cut.where,
        op=cut.source,
        analytic=analytic,
        numeric=numeric,
        lines=tuple(lines),
        advice=advice(cut),
        data={
            "parameters": behind,
            "kind": cut.kind,
            "text": cut.text,
            "user_line": cut.where,
            "source_where": cut.source_where,
        },
    )


def _source(cut: Cut) -> str:
    if cut.kind == "no_grad":
        return f"first operation without a graph: {cut.source} at {cut.source_where}"
    name = f"`{cut.name}`" if cut.name else f"the tensor of shape {cut.shape}"
    made = f" was made at {cut.source_where}" if cut.source_where else " comes from outside"
    return f"{name}{made}" + (f" by {cut.source}" if cut.source else "")


def _at(cut: Cut) -> str:
    return f"{cut.inside or cut.where}   {cut.text}"


def picture(report: GraphReport, cut: Cut, behind: list[str]) -> list[str]:
    """The graph around the cut, the loss on top."""
    source = cut.source or ("parameter" if cut.source_where else "tensor")
    label = f"{cut.name}: {source}" if cut.name else source
    at = f" at {cut.source_where}" if cut.source_where else ""
    return [
        f"loss {number(report.loss)}",
        f"└─ ✂ {cut.kind} at {cut.inside or cut.where}",
        f"   └─ {label}{at}",
        f"      └─ {some(behind, 3)}",
    ]


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
