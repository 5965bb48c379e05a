"""The first half of the graph check: measure one traced forward and backward."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from gradcheck.checks.graph.inputs import idle_inputs
from gradcheck.checks.graph.options import GraphOptions
from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.graph.states import Classifier
from gradcheck.checks.graph.units import dead_units, saturated_units
from gradcheck.checks.lib.capture import noting_losses
from gradcheck.checks.lib.loss_shapes import stretched
from gradcheck.checks.lib.probing import Probe
from gradcheck.frameworks.protocol import (
    Array,
    Cut,
    CutTrace,
    FindsResults,
    Framework,
    KnowsOrigins,
    SkipsBuilding,
    TracesCuts,
)
from gradcheck.phrases import one_line
from gradcheck.probe.subject import Subject
from gradcheck.source.line import Line


def inspect_graph(subject: Subject, options: GraphOptions) -> GraphReport:
    """Run forward and backward once under the tracer and classify every parameter."""
    wide = subject.framework.precision.data
    size = None if subject.is_op else _size(subject, options)
    trouble = None
    with tracing(subject.framework) as trace:
        traced = subject.fresh(dtype=wide, batch_size=size)
        if isinstance(trace, SkipsBuilding):
            trace.built()
        try:
            report, grads, output = _run_once(traced, options)
        except Exception as error:
            trouble = error
        else:
            _find_cuts(report, grads, output, trace, options)
            _say_where(report, trace)
    if trouble is not None:
        # If the user's code fails anyway, it fails again here. If it only failed because of the
        # arrays that the tracer hands out, the check goes on without lines.
        report, grads, _ = _run_once(subject.fresh(dtype=wide, batch_size=size), options)
        report.notes.append(f"cuts could not be traced to their lines: {trouble}")
    if report.dead and size is not None:  # few samples: ask the whole batch before reporting it
        whole = subject.fresh(dtype=wide, batch_size=None)
        report.dead = dead_units(_tape(whole, whole.forward()), options.max_dead)
    report.idle_inputs = list(idle_inputs(subject, size, options.unused_inputs))
    Classifier(report, grads, options).classify()
    return report


def _say_where(report: GraphReport, trace: CutTrace | None) -> None:
    """Note the lines that made, and that froze, the parameters."""
    if not isinstance(trace, KnowsOrigins):
        return
    for name, state in report.states.items():
        leaf = report.subject.leaves[name]
        state.made_at = trace.made_at(leaf)
        if not state.trainable:
            state.frozen_at = trace.frozen_at(leaf)
            state.made_at = trace.off_at(leaf) or state.made_at
    if report.late:
        now = report.subject.framework.named_parameters(report.subject.model)
        report.late = {n: trace.made_at(now[n]) for n in report.late}


def _find_cuts(
    report: GraphReport,
    grads: dict[str, Array | None],
    output: Any,
    trace: CutTrace | None,
    options: GraphOptions,
) -> None:
    """Find the cuts that cost a parameter its gradient; if there are none, a part of it."""
    if trace is None:
        return
    leaves = report.subject.leaves
    trained = {n: leaf for n, leaf in leaves.items() if report.states[n].trainable}
    unreached = {n: leaf for n, leaf in trained.items() if not _any(grads[n])}
    for cut in trace.cuts(output, unreached) if unreached else []:
        (report.allowed if is_allowed(cut, options.allow) else report.cuts).append(cut)
    if unreached or not trained:
        return
    for cut in trace.cuts(output, trained):
        if is_allowed(cut, options.allow):
            report.allowed.append(cut)
        else:
            report.partial.append(cut)


def _any(grad: Array | None) -> bool:
    return grad is not None and bool(np.any(grad))


def tracing(framework: Framework) -> AbstractContextManager[CutTrace | None]:
    return framework.trace_cuts() if isinstance(framework, TracesCuts) else nullcontext()


def _size(subject: Subject, options: GraphOptions) -> int | None:
    if options.batch is None or not subject.has_data:
        return None
    return int(min(options.batch, subject.batching.size))


def _run_once(
    subject: Subject, options: GraphOptions
) -> tuple[GraphReport, dict[str, Array | None], Any]:
    framework = subject.framework
    states = {
        name: State(name, tuple(framework.get(leaf).shape), framework.trainable(leaf))
        for name, leaf in subject.leaves.items()
    }
    not_leaves: dict[str, str] = {}
    if subject.model is not None and isinstance(framework, FindsResults):
        not_leaves = framework.not_leaves(subject.model)
    report = GraphReport(subject, states, float("nan"), not_leaves=not_leaves)
    if subject.model is not None:
        _compare_lists(report)
    subject.zero_grad()
    with noting_losses(subject) as seen:
        output = subject.forward()
    if subject.model is not None:
        report.late = dict.fromkeys(_made_late(subject))
    probe = Probe(subject)
    values = subject.value(output)
    report.loss = probe.scalar(values)
    report.tape = list(_tape(subject, output))
    report.dead = dead_units(report.tape, options.max_dead)
    report.saturated = saturated_units(report.tape, options.max_dead)
    report.stretched = stretched(subject, seen)
    cotangent = probe.cotangent if subject.is_op else None
    try:
        subject.backward(output, cotangent)
    except Exception as error:
        if any(g is not None for g in subject.grads().values()):
            raise
        report.backward_error = one_line(error)
    grads = subject.grads()
    return report, grads, output


def _tape(subject: Subject, output: Any) -> list[Any]:
    try:
        return subject.tape(output) or []
    except Exception:  # a graph that was freed inside the step: nothing is left to read
        return []


def is_allowed(cut: Cut, allow: list[str]) -> bool:
    """Whether the case allows this cut: by 'file.py:12', 'file.py' or a word of the line."""
    at = Line.parse(cut.where) or Line(cut.where, 0)
    for wanted in allow:
        line = Line.parse(wanted)
        if line is not None:
            if line.line == at.line and _same_file(at.file, line.file):
                return True
        elif wanted.endswith(".py"):
            if _same_file(at.file, wanted):
                return True
        elif wanted in cut.text or wanted == cut.function:
            return True
    return False


def _same_file(file: str, wanted: str) -> bool:
    return file == wanted or file.endswith(f"/{wanted}")


def _made_late(subject: Subject) -> list[str]:
    """Trainable parameters that were not on the model before its first forward, or are others."""
    framework = subject.framework
    known = {id(leaf) for leaf in subject.parameters.values()}
    return [
        name
        for name, leaf in framework.named_parameters(subject.model).items()
        if id(leaf) not in known and framework.trainable(leaf)
    ]


def _compare_lists(report: GraphReport) -> None:
    """Note what the model's own parameter list misses, and what it holds twice."""
    subject = report.subject
    held = subject.framework.optimized(subject.model)
    ids = [id(leaf) for leaf in held]
    for name, leaf in subject.parameters.items():
        count = ids.count(id(leaf))
        if count == 0 and report.states[name].trainable:
            report.missing.append(name)
        elif count > 1:
            report.twice.append(name)
