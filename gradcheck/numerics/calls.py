"""The first proof: plan and check every recorded op call at its real inputs.

A plan (which entries of an input move together, and what it costs) follows from the tape alone, not
from what is found there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.approximate import Approximate
from gradcheck.numerics.core.arrays import float64, signed
from gradcheck.numerics.core.differences import Precision
from gradcheck.numerics.core.verdict import KINK, UNSURE, unseen
from gradcheck.numerics.ops import sparsity
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.laws import check_laws, check_layouts
from gradcheck.numerics.ops.local import InputVerdict, check_input
from gradcheck.numerics.ops.masked import FiniteResults, InDomain
from gradcheck.numerics.ops.nearby import excuse
from gradcheck.numerics.ops.pullback import Parts, copies, spread_nearby
from gradcheck.numerics.ops.secondlook import (
    acquit_entries,
    decide_small_entries,
    settle_rough_entries,
)
from gradcheck.numerics.ops.ties import together
from gradcheck.numerics.telling import blame
from gradcheck.numerics.telling.evidence import Certificate, LocalProof, OpFault
from gradcheck.numerics.telling.figures import of_wrong_op
from gradcheck.probe.domain import Bounds
from gradcheck.probe.surrogates import Stand

NO_BOUNDS: Mapping[str, Bounds] = {}


def check_calls(
    tape: list[OpCall],
    *,
    seed: int,
    budget: float,
    approximate: Approximate | None = None,
    stack: bool = True,
    bounds: Mapping[str, Bounds] = NO_BOUNDS,
) -> LocalProof:
    """Check the laws of every call, then every entry of every input. approximate: errors that are
    no findings. stack: whether copies of an input may be stacked for one run. bounds: by leaf its
    domain."""
    approximate = Approximate({}) if approximate is None else approximate
    certificate = Certificate()
    faults: list[OpFault] = []
    figures: Mapping[str, Any] = {}
    for planned in plan_calls(tape, np.random.default_rng([seed, 12]), budget, stack, bounds):
        certificate.calls += 1
        if isinstance(planned, int):
            continue  # not finite enough: the end-to-end proof covers it
        rng = np.random.default_rng([seed, 13, planned.index])
        checked = _Call(planned, rng, certificate, approximate)
        faults += checked.faults()
        if not figures:
            figures = checked.figures()
    return LocalProof(certificate, tuple(one_each(faults)), figures)


class _Call:
    """One call under the check. parts: what its pullback gives; wrong: inputs with wrong entries;
    kinks: by input the entries that were certified at a kink."""

    def __init__(
        self,
        planned: Planned,
        rng: np.random.Generator,
        total: Certificate,
        approximate: Approximate,
    ) -> None:
        self.planned, self.rng, self.total = planned, rng, total
        self.approximate = approximate
        self.call, self.inputs, self.base = planned.call, planned.inputs, planned.base
        self.op = BatchedOp(
            planned.call, planned.inputs, planned.base, planned.bounds, stack=planned.stack
        )
        self.cotangent = signed(rng, planned.base.shape)
        self.parts: Parts = []
        self.wrong: list[InputVerdict] = []
        self.kinks: dict[int, Array] = {}
        self.index: tuple[int, ...] | None = None  # of the worst wrong entry

    def faults(self) -> Iterator[OpFault]:
        """Check laws, inputs, ties and layouts; stop once a failure makes the next useless."""
        with np.errstate(all="ignore"):
            self.parts, breaches = check_laws(self.call, self.inputs, self.cotangent, self.rng)
        breaches = [b for b in breaches if not self.approximate.allows(self.call.name, b)]
        finite = all(p is None or np.isfinite(p).all() for p in self.parts)
        if self.planned.masked and not finite:
            return
        if breaches:
            yield OpFault(1.0, blame.breach(self.call, breaches[0]))
            if breaches[0].code != "mutates":
                return
        if isinstance(self.call, Stand) and not self.call.surrogate.verified:
            return  # a backward that is declared to be meant as it is: only the laws bind it
        yield from self.check_inputs()
        if self.wrong:
            yield self.worst_entry()
            return
        tied = self.check_ties()
        if tied is not None:
            yield tied
        elif self.planned.first and not breaches:
            yield from self.check_layouts()

    def check_inputs(self) -> Iterator[OpFault]:
        """Check every entry of every input. Return gradients that are not finite as faults, and
        collect wrong ones."""
        precision = Precision()
        for slot, how in self.planned.plans.items():
            part = self.parts[slot]
            analytic = np.zeros(self.inputs[slot].shape) if part is None else part
            if not isinstance(self.call.sources[slot], int):  # a mask of -inf, as it was given
                analytic = np.where(np.isfinite(self.inputs[slot]), analytic, 0.0)
            if not np.isfinite(analytic).all():
                yield OpFault(1.0, blame.not_finite(self.call, slot, analytic))
                continue
            verdict = check_input(
                self.op, slot, self.cotangent, analytic, self.rng, precision, how.colouring
            )
            if verdict.outcome.wrong.size:
                acquit_entries(verdict, precision)
                excuse(verdict, self.op, self.cotangent, self.rng)
            if verdict.outcome.wrong.size:
                self.drowned(verdict)
            if verdict.exhaustive:
                decide_small_entries(verdict, precision)
            if (doubtful := unseen(verdict.outcome, verdict.sizes)).size:
                settle_rough_entries(verdict, doubtful)
            self.approximate.tolerate(verdict)
            self.total.add_local(verdict)
            if verdict.outcome.wrong.size:
                self.wrong.append(verdict)
            elif verdict.exhaustive and (verdict.outcome.state == KINK).any():
                self.kinks[slot] = verdict.outcome.state == KINK

    def drowned(self, verdict: InputVerdict) -> None:
        """Nothing is known of wrong entries whose disagreement is as small as what the last digits
        of the inputs do to the pullback: of a gradient that is rounding alone. In place."""
        outcome, wrong = verdict.outcome, verdict.outcome.wrong
        rng = np.random.default_rng(0)
        noise = spread_nearby(self.call, self.inputs, self.cotangent, rng)
        gap = np.abs(outcome.analytic - outcome.numeric)[wrong]
        if verdict.exhaustive:
            outcome.state[wrong[gap <= noise[verdict.slot]]] = UNSURE

    @property
    def worst(self) -> InputVerdict:
        """The input that is most wrong."""
        return max(self.wrong, key=lambda v: float(v.outcome.relative()[v.outcome.wrong].max()))

    def worst_entry(self) -> OpFault:
        finding = blame.wrong_op(self.worst, self.parts[self.worst.slot], self.wrong)
        self.index = finding.index
        return OpFault(finding.relative_error or 0.0, finding)

    def figures(self) -> Mapping[str, Any]:
        """What the report draws when an input is wrong."""
        if not self.wrong:
            return {}
        part = self.parts[self.worst.slot]
        return of_wrong_op(self.op, self.worst, part, self.index, self.cotangent)

    def check_ties(self) -> OpFault | None:
        if sum(int(k.sum()) for k in self.kinks.values()) < 2:
            return None
        tied = together(
            self.call,
            self.inputs,
            self.base,
            self.cotangent,
            self.parts,
            self.kinks,
            self.op.bounds,
        )
        return None if tied is None else OpFault(1.0, blame.ties(self.call, self.kinks, *tied))

    def check_layouts(self) -> Iterator[OpFault]:
        with np.errstate(all="ignore"):
            layouts = check_layouts(self.call, self.inputs, self.base, self.cotangent, self.parts)
        if layouts and not self.approximate.allows(self.call.name, layouts[0]):
            yield OpFault(1.0, blame.breach(self.call, layouts[0]))


def one_each(faults: Iterable[OpFault]) -> list[OpFault]:
    """Sort worst first. Calls of one op with the same fault become one, which counts the rest."""
    kept: dict[tuple[str | None, str], OpFault] = {}
    for fault in sorted(faults, key=lambda f: -f.error):
        key = (fault.finding.op, fault.finding.code)
        first = kept.setdefault(key, fault)
        if first is not fault:
            kept[key] = dataclasses.replace(first, more=first.more + 1)
    return list(kept.values())


# --- the plan -----------------------------------------------------------------------------------

EVALUATIONS = 3
"""How often a right line is evaluated: nearly always twice, sometimes four times."""


@dataclass(frozen=True)
class Plan:
    """How one input of a call is checked. colouring: entry by entry, those of one colour together;
    None: along random directions. cost: numbers that it will read and write, about."""

    colouring: sparsity.Colouring | None
    cost: float


@dataclass
class Planned:
    """A call before it is checked. masked: whether results that are not finite were left out.

    plans: by input. first: whether it is the first of its kind: how an op reads memory does not
    depend on the values. bounds: by input its domain.
    """

    index: int
    call: OpCall
    inputs: list[Any]
    base: Array
    masked: bool
    plans: dict[int, Plan]
    first: bool
    stack: bool
    bounds: Mapping[int, Bounds]

    @property
    def cost(self) -> float:
        """Numbers that checking it reads and writes, with a share for the laws."""
        return 10.0 * (self.base.size + 2000) + sum(p.cost for p in self.plans.values())


def bounds_of(call: OpCall, bounds: Mapping[str, Bounds]) -> dict[int, Bounds]:
    """By input of a call the domain of the leaf that goes into it."""
    if not bounds:
        return {}
    return {i: bounds[s] for i, s in enumerate(call.sources) if isinstance(s, str) and s in bounds}


def plan_calls(
    tape: list[OpCall],
    rng: np.random.Generator,
    budget: float,
    stack: bool = True,
    bounds: Mapping[str, Bounds] = NO_BOUNDS,
) -> Iterator[Planned | int]:
    """Every call in its turn; only its place where its result is not finite enough to check.

    What a cheap call leaves of its share of the budget is there for the later ones.
    """
    seen: set[str] = set()
    known: dict[Any, Any] = {}
    share = budget / max(len(tape), 1)
    spare = 0.0
    for index, call in enumerate(tape):
        inputs = [float64(v) for v in call.inputs]
        own = copies(inputs)  # an op that writes into its inputs must not corrupt the proof
        with np.errstate(all="ignore"):
            base = np.asarray(call.run(own))
        whole = np.isfinite(base)
        if not whole.any() or np.isnan(base).any():
            yield index
            continue
        if not whole.all():  # masked scores are -inf on purpose
            call, base = FiniteResults(call, whole), np.where(whole, base, 0.0)
        within = bounds_of(call, bounds)
        if within:
            call = InDomain(call, inputs, within)
        op = BatchedOp(call, own, base, within, stack=stack)
        plans: dict[int, Plan] = {}
        for slot, value in enumerate(inputs):
            if not call.needs[slot] or not isinstance(value, np.ndarray) or not value.size:
                continue
            made = plans[slot] = plan_input(op, slot, rng, budget=share + spare, known=known)
            spare = max(0.0, spare + share - made.cost) if spare or made.cost < share else 0.0
        kind = str((call.name, tuple(np.ndim(v) for v in inputs), call.attrs.keys()))
        first = kind not in seen
        yield Planned(index, call, inputs, base, not whole.all(), plans, first, stack, within)
        seen.add(kind)


def plan_input(
    op: BatchedOp,
    slot: int,
    rng: np.random.Generator,
    *,
    budget: float,
    known: sparsity.Known | None = None,
) -> Plan:
    """Every entry of input `slot`, or random directions when that would cost more than `budget`
    (in numbers read and written)."""
    x = op.inputs[slot]
    cost = float(x.size + op.base.size + 2000)
    if cost * 30 <= budget:
        colouring = sparsity.find(
            lambda v: op.run_many(slot, op.clipped(slot, v)).reshape(len(v), -1),
            x,
            op.base.reshape(-1),
            rng,
            known,
            (slot, op.signature),
        )
        if colouring.colours * cost * 4 <= budget:
            return Plan(colouring, EVALUATIONS * colouring.colours * cost)
    return Plan(None, 2 * EVALUATIONS * cost)
