"""The telling half of the graph check: states of parameters -> findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradcheck.checks.graph.cuts import cut_finding, table
from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.lib.words import number, plural, some
from gradcheck.result import Finding, Result
from gradcheck.source.line import short_place

UNREACHED = ("never reached", "zero")


def result(report: GraphReport, options: Any) -> Result:
    findings = list(_findings(report, options))
    total = len(report.states)
    bad = [s for s in report.states.values() if s.status not in ("ok", "true zero", "frozen")]
    measurements: dict[str, Any] = {
        "parameters": total,
        "with_gradient": sum(s.status == "ok" for s in report.states.values()),
        "loss": report.loss,
        "states": [
            {
                "parameter": s.name,
                "shape": list(s.shape),
                "status": s.status,
                "analytic": s.analytic,
                "numeric": s.numeric,
            }
            for s in report.states.values()
        ],
    }
    figures: dict[str, Any] = {}
    if findings:
        figures["graph"] = figure(report, bad)
    notes = list(report.notes)
    frozen = report.named("frozen")
    if frozen:
        notes.append(f"frozen, as meant: {some(frozen)}")
    for cut in report.allowed:
        notes.append(f"allowed by the case: the cut at {cut.where}")
    return Result(
        findings=tuple(findings),
        measurements=measurements,
        figures=figures,
        notes=tuple(notes),
    )


def _findings(report: GraphReport, options: Any) -> Iterator[Finding]:
    states = report.states
    if report.subject.model is not None and not any(s.trainable for s in states.values()):
        yield Finding(
            code="nothing_trains",
            message="the model has no trainable parameter"
            + (f": requires_grad is off on all {len(states)}" if states else " at all"),
            advice="make parameters with requires_grad=True and keep them on the model, as "
            "attributes or in a ModuleList",
        )
        return
    unreached = [s for s in states.values() if s.status in UNREACHED]
    yield from _unreached(report, unreached)
    for status, make in (
        ("not trainable", _not_trainable),
        ("not finite", _not_finite),
        ("vanishing", _vanishing),
        ("no effect", _no_effect),
    ):
        group = [s for s in states.values() if s.status == status]
        if group:
            yield make(report, group)
    for unit in report.dead:
        yield Finding(
            code="dead_units",
            message=f"{len(unit.units)} of {unit.total} units of {unit.op} at "
            f"{short_place(unit.where)} are dead: zero on every sample of the batch "
            f"({100 * unit.share:.0f}%)",
            op=unit.op,
            where=short_place(unit.where),
            lines=(f"they shut off: {some(unit.upstream)}",) if unit.upstream else (),
            advice="initialise the layer before it with smaller weights and bias 0, lower the "
            "learning rate, or use leaky_relu or gelu",
            data={"units": list(unit.units[:100]), "share": unit.share},
        )
    for name, where in report.not_leaves.items():
        yield Finding(
            code="not_a_leaf",
            message=f"{name} is registered as a parameter but is the result of an op, so no "
            "gradient is kept for it and the optimizer cannot train it",
            parameter=name,
            where=where or None,
            lines=(f"it was made at {where}",) if where else (),
            advice="compute the initial values as an array first, then make the tensor of them "
            "with requires_grad=True",
        )
    if report.late:
        names = list(report.late)
        first_line = report.late[names[0]]
        yield Finding(
            code="made_in_forward",
            message=f"{plural(len(names), 'parameter')} of the model "
            f"{'is' if len(names) == 1 else 'are'} made in the forward: {some(names)}; an "
            "optimizer that was made before does not hold them",
            parameter=names[0],
            where=first_line,
            lines=(f"{names[0]} was made at {first_line}",) if first_line else (),
            advice="make parameters and layers once, in __init__; the forward only uses them",
            data={"parameters": names},
        )
    if report.missing:
        names = report.missing
        made = states[names[0]].made_at
        yield Finding(
            code="not_in_parameters",
            message=f"{plural(len(names), 'parameter')} of the model "
            f"{'is' if len(names) == 1 else 'are'} missing from its parameters(): {some(names)}",
            parameter=names[0],
            where=made,
            lines=(f"{names[0]} was made at {made}",) if made else (),
            advice="keep layers as attributes, or in a ModuleList or Sequential; parameters() does "
            "not look into plain dicts, lists or objects",
            data={"parameters": names},
        )
    if report.twice:
        yield Finding(
            code="registered_twice",
            message=f"parameters() returns the same tensor more than once: {some(report.twice)}; "
            "an optimizer would move it twice a step",
            parameter=report.twice[0],
            advice="return each tensor once, also when two layers share it",
            data={"parameters": report.twice},
        )


def _unreached(report: GraphReport, unreached: list[State]) -> Iterator[Finding]:
    left = {s.name for s in unreached}
    for cut in [*report.cuts, *report.partial]:
        behind = [n for n in cut.upstream if n in left or cut in report.partial]
        if behind:
            left.difference_update(behind)
            yield cut_finding(report, cut, behind)
    rest = [s for s in unreached if s.name in left]
    for code, status, verb in (
        ("disconnected", "never reached", "get no gradient from the loss, which depends on them"),
        ("zero_gradient", "zero", "get a gradient of exactly zero, the numeric one is not zero"),
    ):
        group = [s for s in rest if s.status == status]
        if not group:
            continue
        first = group[0]
        lines = [f"  {line}" for line in table(group)]
        if report.backward_error:
            lines.append(f"backward: {report.backward_error}")
        yield Finding(
            code=code,
            message=f"{len(group)} of {len(report.states)} parameters {verb}: "
            f"{some([s.name for s in group])}",
            parameter=first.name,
            analytic=first.analytic or 0.0,
            numeric=first.numeric,
            where=first.made_at,
            lines=tuple(lines),
            advice="follow the values from this parameter to the loss: somewhere they leave the "
            "graph (an ndarray, a float, detach, no_grad) or a pullback drops them",
            data={"parameters": [s.name for s in group]},
        )


def _not_trainable(report: GraphReport, group: list[State]) -> Finding:
    names = [s.name for s in group]
    first = group[0]
    return Finding(
        code="not_trainable",
        message=f"requires_grad is off on {plural(len(names), 'registered parameter')} that the "
        f"loss depends on: {some(names)}",
        parameter=first.name,
        numeric=first.numeric,
        where=first.made_at,
        lines=(f"{first.name} was made at {first.made_at}",) if first.made_at else (),
        advice="make it with requires_grad=True (or as a Parameter); if it is a constant, make it "
        "a buffer or name it under `frozen:` of this check",
        data={"parameters": names},
    )


def _not_finite(report: GraphReport, group: list[State]) -> Finding:
    names = [s.name for s in group]
    return Finding(
        code="not_finite",
        message=f"the gradient of {plural(len(names), 'parameter')} is not finite: {some(names)}; "
        f"the loss is {number(report.loss)}",
        parameter=names[0],
        advice="look for sqrt, norm, log or a division at 0: a where() around the result does not "
        "stop the NaN in the backward, so make the argument safe before the op",
        data={"parameters": names},
    )


def _vanishing(report: GraphReport, group: list[State]) -> Finding:
    first = group[0]
    return Finding(
        code="vanishing_gradient",
        message=f"the gradient of {some([s.name for s in group])} vanishes: its norm is "
        f"{number(first.analytic)}, yet the loss changes by {number(first.numeric)} along a "
        "random direction",
        parameter=first.name,
        analytic=first.analytic,
        numeric=first.numeric,
        advice="part of the gradient is lost on the way: run the `gradient` check, which names "
        "the op",
        data={"parameters": [s.name for s in group]},
    )


def _no_effect(report: GraphReport, group: list[State]) -> Finding:
    names = [s.name for s in group]
    first = group[0]
    reached = "never reached by backward" if first.analytic is None else "reached, gradient zero"
    return Finding(
        code="no_effect",
        message=f"{plural(len(names), 'parameter')} ha{'s' if len(names) == 1 else 've'} no effect "
        f"on the loss at all: {some(names)} ({reached})",
        parameter=first.name,
        analytic=first.analytic,
        numeric=0.0,
        where=first.made_at,
        lines=(f"{first.name} was made at {first.made_at}",) if first.made_at else (),
        advice="use it in the forward, or remove it; if it is kept for later, name it under "
        "`frozen:` of this check",
        data={"parameters": names},
    )


def figure(report: GraphReport, bad: list[State]) -> dict[str, Any]:
    """Nodes and edges around the trouble: the loss, the cuts, what is upstream."""
    nodes = [{"id": "loss", "label": f"loss {number(report.loss)}", "kind": "loss"}]
    edges: list[list[str]] = []
    for i, cut in enumerate(report.cuts):
        node = f"cut{i}"
        nodes.append({"id": node, "label": f"{cut.kind} {cut.where}", "kind": "cut"})
        edges.append([node, "loss"])
    for state in bad[:12]:
        nodes.append(
            {"id": state.name, "label": f"{state.name}: {state.status}", "kind": "parameter"}
        )
        target = next(
            (f"cut{i}" for i, c in enumerate(report.cuts) if state.name in c.upstream), "loss"
        )
        edges.append([state.name, target])
    return {"nodes": nodes, "edges": edges}
