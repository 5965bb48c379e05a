"""The measuring half of the graph check: one traced forward and backward, then finite differences
of whatever got no gradient."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import numpy as np

from gradcheck.checks.graph_units import DeadUnits, dead_units, through_single
from gradcheck.checks.probing import Probe, norm
from gradcheck.frameworks.protocol import Array, Cut, TracesCuts
from gradcheck.subject import Subject


PROVEN = 3
"""Parameters behind one cut whose slope is measured; the trace shows that the others lie there too,
and measuring each would make a failing check cost more than it tells."""


@dataclass
class State:
    """What is known of one parameter.

    analytic: norm of its gradient; None where it has none. numeric: slope of the loss along a
    random direction; None where it was not measured. status: one of `ok`, `true zero`, `frozen`,
    `never reached`, `zero`, `vanishing`, `not finite`, `dead units`, `no effect`, `not trainable`.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool
    status: str = "ok"
    analytic: float | None = None
    numeric: float | None = None
    made_at: str | None = None
    frozen_at: str | None = None


@dataclass
class GraphReport:
    """Everything that the findings are made of."""

    subject: Subject
    states: dict[str, State]
    loss: float
    cuts: list[Cut] = field(default_factory=list)
    partial: list[Cut] = field(default_factory=list)
    slopes: list[tuple[float, float]] = field(default_factory=list)
    allowed: list[Cut] = field(default_factory=list)
    tape: list[Any] = field(default_factory=list)
    dead: list[DeadUnits] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    not_leaves: dict[str, str] = field(default_factory=dict)
    backward_error: str | None = None
    notes: list[str] = field(default_factory=list)

    def named(self, *statuses: str) -> list[str]:
        return [s.name for s in self.states.values() if s.status in statuses]


def inspect_graph(subject: Subject, options: Any) -> GraphReport:
    """Run forward and backward once under the tracer and classify every parameter."""
    wide = subject.framework.precision.data
    size = None if subject.case.op is not None else _size(subject, options)
    trouble = None
    with tracing(subject.framework) as trace:
        traced = subject.fresh(dtype=wide, batch_size=size)
        getattr(trace, "built", lambda: None)()
        try:
            report, grads, output = _run_once(traced, trace, options)
        except Exception as error:
            trouble = error
        else:
            _find_cuts(report, grads, output, trace, options)
            _say_where(report, trace)
    if trouble is not None:
        # Either the user's code fails anyway, then it fails again here, or it cannot live with the
        # arrays that the tracer hands out: then the check goes on without lines.
        trace = None
        report, grads, _ = _run_once(subject.fresh(dtype=wide, batch_size=size), None, options)
        report.notes.append(f"cuts could not be traced to their lines: {trouble}")
    if report.dead and size is not None:  # few samples: ask the whole batch before saying it
        whole = subject.fresh(dtype=wide, batch_size=None)
        report.dead = dead_units(_tape(whole, whole.forward()), options.max_dead)
    Classifier(report, grads, options).classify()
    return report


def _say_where(report: GraphReport, trace: Any) -> None:
    """Lines that made, and that froze, the parameters."""
    made_at = getattr(trace, "made_at", None)
    frozen_at = getattr(trace, "frozen_at", None)
    off_at = getattr(trace, "off_at", None)
    for name, state in report.states.items():
        leaf = report.subject.leaves[name]
        state.made_at = made_at(leaf) if made_at else None
        state.frozen_at = frozen_at(leaf) if frozen_at else None
        if off_at and not state.trainable:
            state.made_at = off_at(leaf) or state.made_at


def _find_cuts(
    report: GraphReport, grads: dict[str, Array | None], output: Any, trace: Any, options: Any
) -> None:
    """Cuts behind which something gets no gradient; failing that, cuts that take a part of one."""
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


def tracing(framework: Any) -> AbstractContextManager[Any]:
    return framework.trace_cuts() if isinstance(framework, TracesCuts) else nullcontext()


def _size(subject: Subject, options: Any) -> int | None:
    data = subject.case.data
    if options.batch is None or data is None:
        return None
    return int(min(options.batch, data.batch))


def _run_once(
    subject: Subject, trace: Any, options: Any
) -> tuple[GraphReport, dict[str, Array | None], Any]:
    framework = subject.framework
    states = {
        name: State(name, tuple(framework.get(leaf).shape), framework.trainable(leaf))
        for name, leaf in subject.leaves.items()
    }
    not_leaves: dict[str, str] = {}
    if subject.model is not None and hasattr(framework, "not_leaves"):
        not_leaves = framework.not_leaves(subject.model)
    report = GraphReport(subject, states, float("nan"), not_leaves=not_leaves)
    if subject.model is not None:
        _compare_lists(report)
    subject.zero_grad()
    output = subject.forward()
    probe = Probe(subject)
    values = subject.value(output)
    report.loss = probe.scalar(values)
    report.tape = list(_tape(subject, output))
    report.dead = dead_units(report.tape, options.max_dead)
    cotangent = None if subject.case.op is None else probe.cotangent
    try:
        subject.backward(output, cotangent)
    except Exception as error:
        if any(g is not None for g in subject.grads().values()):
            raise
        report.backward_error = " ".join(str(error).split())
    grads = subject.grads()
    return report, grads, output


def _tape(subject: Subject, output: Any) -> list[Any]:
    try:
        return subject.tape(output) or []
    except Exception:  # a graph that was freed inside the step: there is nothing left to read
        return []


def is_allowed(cut: Cut, allow: list[str]) -> bool:
    """Whether the case declares this cut as meant, by 'file.py:12', 'file.py' or a word of it."""
    file, _, line = cut.where.rpartition(":")
    for wanted in allow:
        path, _, number = wanted.rpartition(":")
        if path and number.isdigit():
            if number == line and (file == path or file.endswith(f"/{path}")):
                return True
        elif wanted.endswith(".py"):
            if file == wanted or file.endswith(f"/{wanted}"):
                return True
        elif wanted in cut.text or wanted == cut.function:
            return True
    return False


def _compare_lists(report: GraphReport) -> None:
    """What the model's own parameter list misses, and what it holds twice."""
    subject = report.subject
    held = subject.framework.optimized(subject.model)
    ids = [id(leaf) for leaf in held]
    for name, leaf in subject.parameters.items():
        count = ids.count(id(leaf))
        if count == 0 and report.states[name].trainable:
            report.missing.append(name)
        elif count > 1:
            report.twice.append(name)


class Classifier:
    """Gives every parameter its status."""

    def __init__(self, report: GraphReport, grads: dict[str, Array | None], options: Any) -> None:
        self.report = report
        self.grads = grads
        self.options = options
        self.probe = Probe(report.subject, seed=1)
        behind = {n for cut in report.cuts for n in cut.upstream}
        self.excused = {n for cut in report.allowed for n in cut.upstream} - behind

    def classify(self) -> None:
        suspects = []
        for name, state in self.report.states.items():
            grad = self.grads[name]
            if not state.trainable:
                meant = self._frozen(name) or state.frozen_at is not None
                state.status = "frozen" if meant else "not trainable"
                continue
            if grad is None or not np.any(grad):
                state.analytic = None if grad is None else 0.0
                if self._frozen(name) or name in self.excused:
                    state.status = "frozen"
                else:
                    suspects.append(state)
            elif not np.all(np.isfinite(grad)):
                state.status = "not finite"
            else:
                state.analytic = norm(grad)
        if suspects:
            self._judge(suspects)
        if any(s.status == "not trainable" for s in self.report.states.values()):
            self._drop_constants()
        self._vanishing()
        if self.report.partial:
            self._drop_harmless()

    def _drop_harmless(self) -> None:
        """Keep only the cuts that take part of the gradient: analytic and numeric slope differ.

        A detach behind which everything still gets a gradient is taken for a stop-gradient that is
        meant (the check `gradient` measures it); it is told in a note.
        """
        kept = []
        for cut in self.report.partial:
            directions = {n: self.probe.direction(n) for n in cut.upstream}
            slope, noise = self.probe.slope_along(directions, 1e-5)
            analytic = 0.0
            for name, along in directions.items():
                grad = self.grads[name]
                assert grad is not None
                analytic += float(np.sum(grad * along))
            if abs(slope - analytic) <= max(10 * noise, 1e-3 * max(abs(slope), abs(analytic))):
                continue
            if cut.kind == "detach":
                self.report.notes.append(
                    f"detach at {cut.where} takes part of the gradient (numeric {slope:.3g}, "
                    f"analytic {analytic:.3g}), taken as meant"
                )
            else:
                kept.append(cut)
                self.report.slopes.append((analytic, slope))
        self.report.partial = kept

    def _frozen(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.options.frozen)

    def _judge(self, suspects: list[State]) -> None:
        base = self.probe.run()
        shut = {n for unit in self.report.dead for n in (*unit.upstream, *unit.downstream)}
        known: dict[int, int] = {}  # cut -> how many behind it are proven to matter
        for state in suspects:
            unreached = "never reached" if state.analytic is None else "zero"
            cut = next(
                (i for i, c in enumerate(self.report.cuts) if state.name in c.upstream), None
            )
            if cut is not None and known.get(cut, 0) >= PROVEN:
                state.status = unreached
                continue
            slope, noise = self.probe.slope([state.name])
            state.numeric = slope
            if not np.isfinite(slope) or abs(slope) > noise:
                state.status = unreached
                if cut is not None:
                    known[cut] = known.get(cut, 0) + 1
            elif state.name in shut:
                state.status = "dead units"
            elif self.probe.matters(state.name, base):
                # Flat here, not elsewhere: saturated or switched off at this very point. Where
                # backward has no way to it at all, it acts in steps only (argmax, rounding).
                state.status = "true zero" if state.analytic is not None else unreached
            elif state.analytic is not None and through_single(self.report.tape, state.name):
                state.status = "true zero"
            else:
                state.status = "no effect"
        idle = [s for s in suspects if s.status == "no effect"]
        if idle:
            self._excuse_idle(idle)

    def _excuse_idle(self, idle: list[State]) -> None:
        """A parameter without effect is fine when it has one elsewhere: at other values of the
        other parameters (behind a layer that starts at zero), in the other mode, on other data."""
        for subject, why in self._elsewhere():
            probe = Probe(subject, seed=1)
            base = probe.run()
            for state in [s for s in idle if s.status == "no effect"]:
                if state.name in subject.leaves and probe.matters(state.name, base):
                    state.status = "true zero"
                    self.report.notes.append(f"{state.name} has an effect only {why}")
            if all(s.status != "no effect" for s in idle):
                return

    def _elsewhere(self) -> Any:
        subject = self.report.subject
        moved = subject.fresh()
        rng = np.random.default_rng([subject.seed, 11])
        for name in moved.leaves:
            array = moved.get(name)
            scale = max(float(np.std(array)), 0.1)
            moved.set(name, array + 0.3 * scale * rng.standard_normal(array.shape))
        yield moved, "at other values of the parameters"
        if subject.model is None:
            return
        other = subject.fresh()
        other.framework.train_mode(other.model, not other.training)
        mode = "eval" if subject.training else "train"
        yield other, f"in {mode} mode"
        if subject.case.data is not None:
            yield subject.fresh(batch_size=None), "on a larger batch"
            more = subject.fresh(batch_size=None)
            more.batch = list(more.batches(3))[-1]
            yield more, "on another batch"

    def _drop_constants(self) -> None:
        """Something that does not require a gradient and on which nothing depends is no fault."""
        for state in self.report.states.values():
            if state.status == "not trainable":
                slope, noise = self.probe.slope([state.name])
                state.numeric = slope
                if np.isfinite(slope) and abs(slope) <= noise:
                    state.status = "frozen"

    def _vanishing(self) -> None:
        """Gradients that are far smaller than the slope they should explain, all at once first."""
        good = [s for s in self.report.states.values() if s.status == "ok" and s.analytic]
        if not good or not np.isfinite(self.report.loss):
            return
        largest = max(s.analytic or 0.0 for s in good)
        for state in good:
            assert state.analytic is not None
            if state.analytic > self.options.vanishing * largest:
                continue
            direction = self.probe.direction(state.name)
            slope, noise = self.probe.slope_along({state.name: direction})
            state.numeric = slope
            explained = state.analytic * norm(direction) * self.options.vanishing**-1
            if abs(slope) > 10 * noise and abs(slope) > explained:
                state.status = "vanishing"
