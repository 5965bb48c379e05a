"""Both proofs at one point: every recorded op, then every leaf against the whole forward."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gradcheck.frameworks.protocol import OpCall, SecondOrder
from gradcheck.numerics.approximate import Approximate
from gradcheck.numerics.calls import check_calls
from gradcheck.numerics.core.differences import scale_of
from gradcheck.numerics.core.verdict import KINK, RIGHT
from gradcheck.numerics.end_to_end.complexstep import NotAnalytic
from gradcheck.numerics.end_to_end.directions import Forward, ReplayForward
from gradcheck.numerics.end_to_end.endtoend import EndToEnd, check_directions, make_forward
from gradcheck.numerics.end_to_end.entrywise import check_complex, check_entries
from gradcheck.numerics.end_to_end.explain import Explained, explain
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.end_to_end.preflight import Nothing, prepare
from gradcheck.numerics.end_to_end.replay import Replay
from gradcheck.numerics.end_to_end.secondlook import acquit
from gradcheck.numerics.end_to_end.secondorder import check_second_order
from gradcheck.numerics.ops.wholeop import WholeOp
from gradcheck.numerics.telling.conclude import Evidence, Examination, Second, conclude, unseen
from gradcheck.numerics.telling.evidence import (
    ComplexSteps,
    Entries,
    LeafEvidence,
    LocalProof,
    Seen,
    seen,
)
from gradcheck.numerics.telling.figures import heatmap
from gradcheck.probe.stops import Stops
from gradcheck.probe.subject import Subject
from gradcheck.probe.surrogates import Stand, Surrogate, Surrogates
from gradcheck.result import Finding

BESIDE = 2.0**-13
"""How far beside a kink a point is taken, as a share of each leaf's size."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked of an examination; see the options of the check `gradient`.

    scalar: whether the output must be one number; None: of a model it must. undecided: the share of
    the leaves that need not be seen.
    """

    directions: int = 1
    budget: float = 5e7
    scalar: bool | None = None
    exhaustive: bool = False
    method: Literal["auto", "complex"] = "auto"
    order: Literal[1, 2] = 1
    stop: tuple[str, ...] = ()
    undecided: float = 0.0
    surrogate: Mapping[str, Surrogate] = field(default_factory=dict)
    approximate: Mapping[str, float] = field(default_factory=dict)

    def declare(self, subject: Subject) -> None:
        """Tell a new subject what is meant."""
        if self.stop:
            subject.stops = Stops(self.stop)
        if self.surrogate:
            subject.surrogates = Surrogates(self.surrogate, subject.framework)


USUAL = Settings()


def examine(subject: Subject, settings: Settings = USUAL) -> Examination:
    """Check the gradients of `subject` at its present values. The subject is used up."""
    look = Look(subject, settings)
    with np.errstate(all="ignore"):  # what is not finite becomes a finding
        settings.declare(subject)
        point = prepare(subject, look.rng(11), scalar=look.scalar)
        if isinstance(point, Finding):
            return Examination(findings=[point])
        if isinstance(point, Nothing):
            return Examination(reason=point.reason)
        return conclude(look.at(point), settings.undecided)


class Look:
    """A look at one point. Every draw has a generator of its own, from the subject's seed and its
    purpose: so what one part of the check finds does not change what another part sees."""

    def __init__(self, subject: Subject, wanted: Settings) -> None:
        self.subject, self.wanted, self.seed = subject, wanted, subject.seed
        self.scalar = not subject.is_op if wanted.scalar is None else wanted.scalar
        self.approximate = Approximate(wanted.approximate)
        self._handwritten: list[OpCall] | None = None

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    def at(self, point: Point) -> Evidence:
        """The ops, then the leaves; with an op at fault, leaves are only counted."""
        closing_notes = self.closing_notes(point)
        replay, local = None, LocalProof()
        if point.precision.double:
            replay = Replay(point.tape, stack=self.subject.batched) if point.tape else None
            calls = point.tape or self.handwritten()
            local = self.calls(calls)
            if local.faults and isinstance(calls[0], WholeOp) and not self.subject.declared:
                local = self.nearer(local)
        point.findings = [f for f in point.findings if not self.approximate.allows_finding(f)]
        forward = self.forward(point, replay, 14)
        found = self.along(point, forward, settle=not local.faults)
        notes = list(point.notes)
        if found.faults:
            notes += acquit(point, forward, found, point.precision)
        evidence = Evidence(
            point=point,
            local=local,
            replayable=replay is not None,
            ends=seen(point, found),
            evaluations=forward.evaluations,
            notes=tuple(notes),
            closing_notes=(*closing_notes, *self.approximate.notes()),
        )
        if local.faults:
            return dataclasses.replace(evidence, explained=self.explained_call(point))
        return self.closer(evidence, found, forward, replay)

    def calls(self, calls: list[OpCall]) -> LocalProof:
        """The first proof."""
        return check_calls(
            calls,
            seed=self.seed,
            budget=self.wanted.budget,
            approximate=self.approximate,
            stack=self.subject.batched,
            bounds=self.subject.bounds,
        )

    def nearer(self, local: LocalProof) -> LocalProof:
        """Where an op that is checked as a whole is wrong and a function inside it is, too, the
        faults of that function: its backward was written by hand and has a line. An op of a case
        keeps the name that the case gives it."""
        inside = self.calls(self.handwritten())
        if not inside.faults:
            return local
        return dataclasses.replace(local, faults=inside.faults, figures=inside.figures)

    def closer(
        self, evidence: Evidence, found: EndToEnd, forward: Forward, replay: Replay | None
    ) -> Evidence:
        """The same with what else was asked for, where every op is right."""
        point, wanted = evidence.point, self.wanted
        beside = entries = complex_steps = second = explained = None
        at_kinks = bool(replay and evidence.local.certificate.kinks)
        if not found.faults:
            at_kinks = bool(unseen(evidence)) and not evidence.ends.rough
        if at_kinks:
            beside = self.beside(point)
        if found.faults and not beside:
            explained = self.explained(point, found, replay)
        if point.trainable and wanted.method == "complex":
            complex_steps = self.complex(point, replay if found.replayed else None, forward)
        elif point.trainable and wanted.exhaustive:
            entries = self.entries(point, forward)
        if wanted.order == 2 and not point.findings and (beside or not found.faults):
            second = self.second(point)
        return dataclasses.replace(
            evidence,
            beside=beside,
            entries=entries,
            complex=complex_steps,
            second=second,
            explained=explained,
            evaluations=forward.evaluations,
        )

    def forward(self, point: Point, replay: Replay | None, purpose: int) -> Forward:
        """The whole forward as a function of its leaves. A whole op with a surrogate is run through
        its framework already, and has its stand-in on the tape alone."""
        stand = point.tape[-1] if point.tape else None
        if replay is not None and isinstance(stand, Stand) and isinstance(stand.call, WholeOp):
            return ReplayForward(replay, point.weights)
        return make_forward(point, replay, self.rng(purpose), point.precision)

    # --- end to end -------------------------------------------------------------------------

    def along(self, point: Point, forward: Forward, *, settle: bool = True) -> EndToEnd:
        found = check_directions(
            point,
            forward,
            point.precision,
            self.rng(15),
            directions=self.wanted.directions,
            settle=settle,
        )
        self.approximate.tolerate_leaves(found)
        return found

    def beside(self, point: Point) -> Seen | None:
        """All leaves at a point beside the kinks; None when a leaf fails there too.

        At a kink of several pieces a direction has a left and a right slope, and the gradient of
        one piece need not lie between them.
        """
        rng = self.rng(16)
        subject = point.subject.fresh()
        self.wanted.declare(subject)
        for name in point.trainable:
            x = point.values[name]
            moved_to = x + BESIDE * scale_of(x) * rng.uniform(-1.0, 1.0, x.shape)
            if name in subject.bounds:
                moved_to = subject.bounds[name].clipped(moved_to, x)
            subject.set(name, moved_to)
        moved = prepare(subject, rng, scalar=self.scalar)
        if not isinstance(moved, Point) or moved.findings:
            return None
        replay = Replay(moved.tape, stack=self.subject.batched) if moved.tape else None
        forward = make_forward(moved, replay, rng, moved.precision)
        found = self.along(moved, forward)
        return None if found.faults else seen(moved, found)

    def explained(self, point: Point, found: EndToEnd, replay: Replay | None) -> Explained | None:
        """Whether wrong leaves are right once what leaves the graph keeps its values."""

        def look() -> frozenset[str]:
            forward = self.forward(point, replay, 19)
            again = self.along(point, forward)
            states = zip(again.names, again.outcome.state)
            return frozenset(n for n, state in states if state not in (RIGHT, KINK))

        wrong = frozenset(f.name for f in found.faults)
        return explain(point.subject, self.wanted.stop, wrong, look)

    def explained_call(self, point: Point) -> Explained | None:
        """The same of an op that is checked as a whole, where there is no tape."""
        calls = [call for call in point.tape or () if isinstance(call, WholeOp)]
        if not calls:
            return None

        def look() -> frozenset[str]:
            return frozenset(str(f.finding.op) for f in self.calls(list(calls)).faults)

        return explain(point.subject, self.wanted.stop, frozenset(c.name for c in calls), look)

    def entries(self, point: Point, forward: Forward) -> Entries:
        """Every entry of every leaf."""
        verdicts, wrong = check_entries(point, forward, point.precision)
        faults = tuple(LeafEvidence.of(point, fault) for fault in wrong)
        return Entries(faults, {n: heatmap(v, point.values[n]) for n, v in verdicts.items()})

    def complex(self, point: Point, replay: Replay | None, forward: Forward) -> ComplexSteps:
        """Complex steps through every leaf, until one does not let them pass."""
        if replay is None:
            return ComplexSteps(
                stopped="complex steps need a tape that the forward follows; real differences were "
                "used"
            )
        every, worst, stopped = self.wanted.exhaustive, 0.0, None
        faults: list[LeafEvidence] = []
        for i, name in enumerate(point.trainable):
            if not point.values[name].size:
                continue
            rng = np.random.default_rng([self.seed, 17, i])
            try:
                found = check_complex(point, replay, rng, name, every_entry=every)
            except NotAnalytic as error:
                stopped = f"no complex steps, real differences were used: {error}"
                break
            forward.evaluations += found.evaluations
            worst = max(worst, found.error)
            if found.fault is not None:
                faults.append(LeafEvidence.of(point, found.fault))
        return ComplexSteps(every, worst, tuple(faults), stopped)

    # --- the rest ---------------------------------------------------------------------------

    def second(self, point: Point) -> Second:
        """Second derivatives of all leaves."""
        framework = self.subject.framework
        if isinstance(framework, SecondOrder):
            return Second(tuple(check_second_order(point, self.rng(18))))
        return Second(
            note=f"{framework.name} cannot differentiate its own backward: only first derivatives "
            "were checked"
        )

    def handwritten(self) -> list[OpCall]:
        """The calls that can be checked where there is no tape."""
        if self._handwritten is None:
            calls = self.subject.handwritten()
            meant = self.subject.surrogates
            self._handwritten = calls if meant is None else meant.standing(calls)
        return self._handwritten

    def closing_notes(self, point: Point) -> list[str]:
        notes = []
        if point.tape is None:
            names = ", ".join(dict.fromkeys(c.name for c in self.handwritten()))
            notes.append(
                f"the backward of {names} was checked entry by entry, everything else end to end "
                "only, along random directions"
                if names
                else "the framework records no op calls: checked end to end only, along random "
                "directions"
            )
        frozen = len(self.subject.leaves) - len(point.trainable)
        if frozen:
            notes.append(f"{frozen} frozen leaves were not checked")
        return notes
