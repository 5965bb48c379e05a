"""The second half of the graph check: from the states of parameters to findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from gradcheck.checks.graph.cuts import cut_finding, place, responsible, table
from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.graph.units import DeadUnits, Saturated
from gradcheck.checks.lib.about import about
from gradcheck.checks.lib.words import number, plural, some
from gradcheck.frameworks.protocol import Cut
from gradcheck.result import Finding, Result
from gradcheck.source.line import short_place

UNREACHED = ("never reached", "zero")
FINE = ("ok", "true zero", "frozen")


def result(report: GraphReport) -> Result:
    """Everything that the check has found, with its measurements and the figure for the report."""
    findings = tuple(_findings(report))
    states = report.states.values()
    notes = list(report.notes)
    frozen = report.named("frozen")
    if frozen:
        notes.append(f"frozen on purpose: {some(frozen)}")
    notes.extend(f"allowed by the case: the cut at {cut.where}" for cut in report.allowed)
    return Result(
        findings=findings,
        measurements={
            "parameters": len(states),
            "with_gradient": sum(s.status == "ok" for s in states),
            "loss": report.loss,
            "states": [
                {
                    "parameter": s.name,
                    "shape": list(s.shape),
                    "status": s.status,
                    "analytic": s.analytic,
                    "numeric": s.numeric,
                }
                for s in states
            ],
        },
        figures={"graph": figure(report)} if findings else {},
        notes=tuple(notes),
    )


def _findings(report: GraphReport) -> Iterator[Finding]:
    if report.subject.model is not None and not any(s.trainable for s in report.states.values()):
        yield _nothing_trains(report)
        return
    yield from _cuts(report)
    for status, make in BY_STATUS.items():
        group = [s for s in report.states.values() if s.status == status]
        if group:
            yield make(report, group)
    yield from map(_dead_units, report.dead)
    yield from map(_saturated, report.saturated)
    if report.stretched is not None:
        yield report.stretched
    if not any(s.status in (*UNREACHED, "not finite") for s in report.states.values()):
        yield from report.idle_inputs
    yield from map(_not_a_leaf, report.not_leaves, report.not_leaves.values())
    if report.late:
        yield _made_in_forward(report)
    if report.missing:
        yield _not_in_parameters(report)
    if report.twice:
        yield _registered_twice(report)


def _nothing_trains(report: GraphReport) -> Finding:
    count = len(report.states)
    return Finding(
        code="nothing_trains",
        message="the model has no trainable parameter"
        + (f": requires_grad is off on all {count}" if count else " at all"),
        advice="make parameters with requires_grad=True and keep them on the model, as "
        "attributes or in a ModuleList",
    )


def _cuts(report: GraphReport) -> Iterator[Finding]:
    """One finding for each line; what a cut explains is not reported again by its status."""
    unreached = [s for s in report.states.values() if s.status in UNREACHED]
    behind: dict[str, set[str]] = defaultdict(set)
    for state in unreached:
        index = responsible(report.cuts, state.name)
        if index is not None:
            behind[place(report.cuts[index])].add(state.name)
    for cut in report.partial:
        behind[place(cut)].update(cut.upstream)
    by_line: dict[str, list[Cut]] = defaultdict(list)
    for cut in [*report.cuts, *report.partial]:
        by_line[place(cut)].append(cut)
    for line, cuts in by_line.items():
        if behind[line]:
            yield cut_finding(report, cuts, [n for n in report.states if n in behind[line]])
    explained = set().union(*behind.values())
    yield from _unexplained(report, [s for s in unreached if s.name not in explained])


def _unexplained(report: GraphReport, rest: list[State]) -> Iterator[Finding]:
    for code, status, verb in (
        ("disconnected", "never reached", "get no gradient from the loss, which depends on them"),
        ("zero_gradient", "zero", "get a gradient of exactly zero, the numeric one is not zero"),
    ):
        group = [s for s in rest if s.status == status]
        if not group:
            continue
        names = [s.name for s in group]
        lines = [f"  {line}" for line in table(group)]
        if report.backward_error:
            lines.append(f"backward: {report.backward_error}")
        yield about(
            names,
            code,
            f"{len(group)} of {len(report.states)} parameters {verb}: {some(names)}",
            "follow the values from this parameter to the loss: somewhere they leave the graph (an "
            "ndarray, a float, detach, no_grad) or a pullback drops them",
            analytic=group[0].analytic or 0.0,
            numeric=group[0].numeric,
            where=group[0].made_at,
            lines=tuple(lines),
        )


def _not_trainable(report: GraphReport, group: list[State]) -> Finding:
    names = [s.name for s in group]
    return about(
        names,
        "not_trainable",
        f"requires_grad is off on {plural(len(names), 'registered parameter')} that the loss "
        f"depends on: {some(names)}",
        "make it with requires_grad=True (or as a Parameter); if it is a constant, make it a "
        "buffer or name it under `frozen:` of this check",
        made_at=group[0].made_at,
        numeric=group[0].numeric,
    )


def _not_finite(report: GraphReport, group: list[State]) -> Finding:
    names = [s.name for s in group]
    return about(
        names,
        "not_finite",
        f"the gradient of {plural(len(names), 'parameter')} is not finite: {some(names)}; the loss "
        f"is {number(report.loss)}",
        "look for sqrt, norm, log or a division at 0: a where() around the result does not stop "
        "the NaN in the backward, so make the argument safe before the op",
    )


def _vanishing(report: GraphReport, group: list[State]) -> Finding:
    names, first = [s.name for s in group], group[0]
    return about(
        names,
        "vanishing_gradient",
        f"the gradient of {some(names)} vanishes: its norm is {number(first.analytic)}, yet the "
        f"loss changes by {number(first.numeric)} along a random direction",
        "part of the gradient is lost on the way: run the `gradient` check, which names the op",
        analytic=first.analytic,
        numeric=first.numeric,
    )


def _no_effect(report: GraphReport, group: list[State]) -> Finding:
    names, first = [s.name for s in group], group[0]
    has = "has" if len(names) == 1 else "have"
    reached = "reached, gradient zero"
    advice = (
        "it takes part in the forward, and what it computes is lost again: a product with zero, a "
        "difference of equal things, weights that sum out, a softmax over a single entry or over "
        "the wrong axis"
    )
    if first.analytic is None:
        reached = "never reached by backward"
        advice = "use it in the forward, or remove it"
    elif first.analytic:
        reached = f"reached, a gradient of {number(first.analytic)}, which is rounding"
    return about(
        names,
        "no_effect",
        f"{plural(len(names), 'parameter')} {has} no effect on the loss at all: {some(names)} "
        f"({reached})",
        f"{advice}; if that is meant, name it under `frozen:` of this check",
        made_at=first.made_at,
        analytic=first.analytic,
        numeric=0.0,
    )


BY_STATUS = {
    "not trainable": _not_trainable,
    "not finite": _not_finite,
    "vanishing": _vanishing,
    "no effect": _no_effect,
}
"""What is said of the parameters of each status; for those without a gradient see `_cuts`."""


def _dead_units(unit: DeadUnits) -> Finding:
    where = short_place(unit.where)
    return Finding(
        code="dead_units",
        message=f"{len(unit.units)} of {unit.total} units of {unit.op} at {where} are dead: zero "
        f"on every sample of the batch ({100 * unit.share:.0f}%)",
        op=unit.op,
        where=where,
        lines=(f"they shut off: {some(unit.upstream)}",) if unit.upstream else (),
        advice="initialise the layer before it with smaller weights and bias 0, lower the learning "
        "rate, or use leaky_relu or gelu",
        data={"units": list(unit.units[:100]), "share": unit.share},
    )


def _saturated(found: Saturated) -> Finding:
    where = short_place(found.where)
    return Finding(
        code="saturated_units",
        message=f"{100 * found.share:.0f}% of the entries of {found.op} at {where} are saturated: "
        "hardly any gradient passes",
        op=found.op,
        where=where,
        lines=(f"they shut off: {some(found.upstream)}",) if found.upstream else (),
        advice="initialise the layer before it with smaller weights, or normalise its input; where "
        "a gate is meant to start closed, raise `max_dead` of this check",
        data={"share": found.share},
    )


def _not_a_leaf(name: str, where: str) -> Finding:
    return Finding(
        code="not_a_leaf",
        message=f"{name} is registered as a parameter but is the result of an op, so no gradient "
        "is kept for it and the optimizer cannot train it",
        parameter=name,
        where=where or None,
        lines=(f"it was made at {where}",) if where else (),
        advice="compute the initial values as an array first, then make the tensor of them with "
        "requires_grad=True",
    )


def _made_in_forward(report: GraphReport) -> Finding:
    names = list(report.late)
    are = "is" if len(names) == 1 else "are"
    return about(
        names,
        "made_in_forward",
        f"{plural(len(names), 'parameter')} of the model {are} made in the forward: {some(names)}; "
        "an optimizer that was made before does not hold them",
        "make parameters and layers once, in __init__; the forward only uses them",
        made_at=report.late[names[0]],
    )


def _not_in_parameters(report: GraphReport) -> Finding:
    names = report.missing
    are = "is" if len(names) == 1 else "are"
    return about(
        names,
        "not_in_parameters",
        f"{plural(len(names), 'parameter')} of the model {are} missing from its parameters(): "
        f"{some(names)}",
        "keep layers as attributes, or in a ModuleList or Sequential; parameters() does not look "
        "into plain dicts, lists or objects",
        made_at=report.states[names[0]].made_at,
    )


def _registered_twice(report: GraphReport) -> Finding:
    return about(
        report.twice,
        "registered_twice",
        f"parameters() returns the same tensor more than once: {some(report.twice)}; an optimizer "
        "would move it twice a step",
        "return each tensor once, also when two layers share it",
    )


def figure(report: GraphReport) -> dict[str, Any]:
    """Nodes and edges around the trouble: the loss, the cuts, what is upstream."""
    nodes = [{"id": "loss", "label": f"loss {number(report.loss)}", "kind": "loss"}]
    edges: list[list[str]] = []
    for i, cut in enumerate(report.cuts):
        node = f"cut{i}"
        nodes.append({"id": node, "label": f"{cut.kind} {cut.where}", "kind": "cut"})
        edges.append([node, "loss"])
    bad = [s for s in report.states.values() if s.status not in FINE]
    for state in bad[:12]:
        nodes.append(
            {"id": state.name, "label": f"{state.name}: {state.status}", "kind": "parameter"}
        )
        index = responsible(report.cuts, state.name)
        edges.append([state.name, "loss" if index is None else f"cut{index}"])
    return {"nodes": nodes, "edges": edges}
