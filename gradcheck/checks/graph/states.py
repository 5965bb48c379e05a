"""Why a parameter gets no gradient, by finite differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch

import numpy as np

from gradcheck.checks.graph.cuts import responsible
from gradcheck.checks.graph.options import GraphOptions
from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.graph.units import through_single
from gradcheck.checks.lib.probing import Probe, norm
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject

PROVEN = 3
"""Parameters behind one cut whose slope is measured; the trace shows that the others lie there too,
and measuring each would cost more than it shows."""

FAR = (0.3, 1.0, 1.0, 3.0, 3.0)
"""How far the other parameters move, in units of their spread, until one that is idle has an
effect. A router that sends no sample to an expert needs to be moved far."""


class Classifier:
    """Gives every parameter its status."""

    def __init__(
        self, report: GraphReport, grads: dict[str, Array | None], options: GraphOptions
    ) -> None:
        self.report = report
        self.grads = grads
        self.options = options
        self.probe = Probe(report.subject, seed=1)
        behind = {n for cut in report.cuts for n in cut.upstream}
        self.excused = {n for cut in report.allowed for n in cut.upstream} - behind
        self.shut = {n for unit in report.dead for n in (*unit.upstream, *unit.downstream)}
        self.proven: Counter[int] = Counter()
        """How many parameters behind each cut are measured to move the loss."""

    def classify(self) -> None:
        suspects = []
        for state in self.report.states.values():
            status = self._at_sight(state, self.grads[state.name])
            if status is None:
                suspects.append(state)
            else:
                state.status = status
        if suspects:
            self._judge(suspects)
        self._judge_rounding()
        if any(s.status == "not trainable" for s in self.report.states.values()):
            self._drop_constants()
        self._vanishing()
        if self.report.partial:
            self._drop_harmless()

    def _at_sight(self, state: State, grad: Array | None) -> str | None:
        """The status that flag and gradient show; None where the loss must be asked."""
        if not state.trainable:
            on_purpose = self._frozen(state.name) or state.frozen_at is not None
            return "frozen" if on_purpose else "not trainable"
        if grad is None or not np.any(grad):
            state.analytic = None if grad is None else 0.0
            excused = self._frozen(state.name) or state.name in self.excused
            return "frozen" if excused else None
        if not np.all(np.isfinite(grad)):
            return "not finite"
        state.analytic = norm(grad)
        return "ok"

    def _judge_rounding(self) -> None:
        """A gradient of rounding size: the weight may have no effect at all, as those of queries
        and keys whose scores cancel.

        A vector (the bias of a key, a shift of all logits) may well be without effect, and a
        gradient that is small because others are large shows when the weight is moved.
        """
        noise = self.probe.noise(self.report.loss)
        small = [
            s
            for s in self.report.states.values()
            if s.status == "ok" and len(s.shape) > 1 and s.analytic is not None
            and s.analytic * norm(self.probe.direction(s.name)) <= noise
        ]  # fmt: skip
        if not small or not np.isfinite(noise):
            return
        base = self.probe.run()
        idle = [s for s in small if not self.probe.matters(s.name, base)]
        for state in idle:
            single = through_single(self.report.tape, state.name)
            state.status = "true zero" if single else "no effect"
        without_effect = [s for s in idle if s.status == "no effect"]
        if without_effect:
            self._excuse_idle(without_effect)

    def _drop_harmless(self) -> None:
        """Keep only the cuts that take part of the gradient: analytic and numeric slope differ.

        A detach behind which everything still gets a gradient is taken for a stop-gradient that is
        intended, and only noted (the check `gradient` measures it).
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
                    f"analytic {analytic:.3g}), taken as intended; declare `stop: [{cut.where}]` "
                    "of `gradient`, which verifies the rest"
                )
            else:
                kept.append(cut)
                self.report.slopes.append((analytic, slope))
        self.report.partial = kept

    def _frozen(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.options.frozen)

    def _judge(self, suspects: list[State]) -> None:
        base = self.probe.run()
        for state in suspects:
            state.status = self._why(state, base)
        for state in suspects:
            idle = state.status == "no effect"
            behind_cut = responsible(self.report.cuts, state.name) is not None
            if idle and behind_cut and self._matters_at_first(state.name):
                state.status = _unreached(state)
        without_effect = [s for s in suspects if s.status == "no effect"]
        if without_effect:
            self._excuse_idle(without_effect)

    def _why(self, state: State, base: float) -> str:
        """Why a parameter has no gradient: the status of the first answer that holds."""
        if self._lies_behind_a_proven_cut(state) or self._moves_the_loss(state):
            return _unreached(state)
        if state.name in self.shut:
            return "dead units"
        if self.probe.matters(state.name, base):
            # Flat here, not elsewhere: saturated or switched off at this very point. Where backward
            # has no way to it at all, it acts in steps only (argmax, rounding).
            return "true zero" if state.analytic is not None else _unreached(state)
        if state.analytic is not None and through_single(self.report.tape, state.name):
            return "true zero"
        return "no effect"

    def _lies_behind_a_proven_cut(self, state: State) -> bool:
        cut = responsible(self.report.cuts, state.name)
        return cut is not None and self.proven[cut] >= PROVEN

    def _moves_the_loss(self, state: State) -> bool:
        """Whether the numeric slope is not zero; if so, it proves the cut before the parameter."""
        state.numeric, noise = self.probe.slope([state.name])
        if np.isfinite(state.numeric) and abs(state.numeric) <= noise:
            return False
        cut = responsible(self.report.cuts, state.name)
        if cut is not None:
            self.proven[cut] += 1
        return True

    def _matters_at_first(self, name: str) -> bool:
        """Whether the first forward of a new model depends on it: one that replaces its own
        parameter in the forward computes with another tensor from then on."""
        moved = self.report.subject.fresh()
        moved.set(name, moved.get(name) + self.probe.direction(name))
        first = Probe(moved).run()
        return not np.isfinite(first) or abs(first - self.report.loss) > self.probe.noise(first)

    def _excuse_idle(self, idle: list[State]) -> None:
        """A parameter without effect is fine when it has one elsewhere: at other values of the
        other parameters (behind a layer that starts at zero), in the other mode, on other data."""
        for subject, why in self._elsewhere():
            probe = Probe(subject, seed=1)
            base = probe.run()
            there = [
                s
                for s in idle
                if s.status == "no effect"
                and s.name in subject.leaves
                and probe.matters(s.name, base)
            ]
            grads = _gradients(subject) if there else {}
            for state in there:
                state.status = "true zero"
                self.report.notes.append(f"{state.name} has an effect only {why}")
                if _misses(grads, state.name):
                    slope, noise = probe.slope([state.name])
                    if np.isfinite(slope) and abs(slope) > 10 * noise:
                        state.numeric, state.status = slope, _unreached(state)
            if all(s.status != "no effect" for s in idle):
                return

    def _elsewhere(self) -> Iterator[tuple[Subject, str]]:
        subject = self.report.subject
        rng = np.random.default_rng([subject.seed, 11])
        for far in FAR:
            moved = subject.fresh()
            for name in moved.leaves:
                array = moved.get(name)
                scale = max(float(np.std(array)), 0.1)
                moved.set(name, array + far * scale * rng.standard_normal(array.shape))
            yield moved, "at other values of the parameters"
        if subject.model is None:
            return
        other = subject.fresh()
        other.framework.train_mode(other.model, not other.training)
        mode = "eval" if subject.training else "train"
        yield other, f"in {mode} mode"
        if subject.has_data:
            yield subject.fresh(batch_size=None), "on a larger batch"
            more = subject.fresh(batch_size=None)
            more.batch = list(more.batches(3))[-1]
            yield more, "on another batch"

    def _drop_constants(self) -> None:
        """Without `requires_grad`, a tensor that the loss does not depend on is a constant."""
        for state in self.report.states.values():
            if state.status == "not trainable":
                slope, noise = self.probe.slope([state.name])
                state.numeric = slope
                if np.isfinite(slope) and abs(slope) <= noise:
                    state.status = "frozen"

    def _vanishing(self) -> None:
        """Find gradients that are far smaller than the slope that they should explain."""
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


def _gradients(subject: Subject) -> dict[str, Array | None]:
    """The gradients of a subject; none where its backward raises, which is told elsewhere."""
    try:
        return subject.gradients()
    except Exception:
        return {}


def _misses(grads: dict[str, Array | None], name: str) -> bool:
    """Whether backward ran and brought this leaf nothing."""
    grad = grads.get(name)
    return bool(grads) and (grad is None or not np.any(grad))


def _unreached(state: State) -> str:
    """The status of a parameter that the loss depends on and that gets no gradient, or a zero."""
    return "never reached" if state.analytic is None else "zero"
