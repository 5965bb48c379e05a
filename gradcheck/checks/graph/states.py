"""Telling, by finite differences, why a parameter gets no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import numpy as np

from gradcheck.checks.graph.report import GraphReport, State
from gradcheck.checks.graph.units import through_single
from gradcheck.checks.lib.probing import Probe, norm
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject

PROVEN = 3
"""Parameters behind one cut whose slope is measured; the trace shows that the others lie there too,
and measuring each would make a failing check cost more than it tells."""


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
        for state in suspects:
            behind_cut = any(state.name in cut.upstream for cut in self.report.cuts)
            if state.status == "no effect" and behind_cut and self._matters_at_first(state.name):
                state.status = "never reached" if state.analytic is None else "zero"
        idle = [s for s in suspects if s.status == "no effect"]
        if idle:
            self._excuse_idle(idle)

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
            for state in [s for s in idle if s.status == "no effect"]:
                if state.name in subject.leaves and probe.matters(state.name, base):
                    state.status = "true zero"
                    self.report.notes.append(f"{state.name} has an effect only {why}")
            if all(s.status != "no effect" for s in idle):
                return

    def _elsewhere(self) -> Iterator[tuple[Subject, str]]:
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
        if subject.has_data:
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
