"""The first proof: check every recorded op call at its real inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.arrays import signed
from gradcheck.numerics.core.noise import Precision
from gradcheck.numerics.core.verdict import KINK
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.breach import Parts
from gradcheck.numerics.ops.laws import check_laws, check_layouts
from gradcheck.numerics.ops.local import InputVerdict, check_input
from gradcheck.numerics.ops.nearby import excuse
from gradcheck.numerics.ops.plan import Planned, plan_calls
from gradcheck.numerics.ops.secondlook import acquit_entries
from gradcheck.numerics.ops.ties import together
from gradcheck.numerics.telling import blame
from gradcheck.numerics.telling.certificate import Certificate
from gradcheck.numerics.telling.figures import of_wrong_op
from gradcheck.result import Finding


@dataclass(frozen=True)
class OpFault:
    """A fault of one call. error: how bad it is, relative. more: calls with the same fault."""

    error: float
    finding: Finding
    more: int = 0


@dataclass(frozen=True)
class LocalProof:
    """What was found about the calls. faults: the worst first, one for each op and code. figures:
    what the report draws of the first wrong op."""

    certificate: Certificate = field(default_factory=Certificate)
    faults: tuple[OpFault, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


def check_calls(tape: list[OpCall], *, seed: int, budget: float) -> LocalProof:
    """Check the laws of every call, then every entry of every input."""
    certificate = Certificate()
    faults: list[OpFault] = []
    figures: Mapping[str, Any] = {}
    for planned in plan_calls(tape, np.random.default_rng([seed, 12]), budget):
        certificate.calls += 1
        if isinstance(planned, int):
            continue  # not finite enough: the end-to-end proof covers it
        checked = _Call(planned, np.random.default_rng([seed, 13, planned.index]), certificate)
        faults += checked.faults()
        if not figures:
            figures = checked.figures()
    return LocalProof(certificate, tuple(one_each(faults)), figures)


class _Call:
    """One call under the check. parts: what its pullback gives; wrong: inputs with wrong entries;
    kinks: by input the entries that were certified at a kink."""

    def __init__(self, planned: Planned, rng: np.random.Generator, total: Certificate) -> None:
        self.planned, self.rng, self.total = planned, rng, total
        self.call, self.inputs, self.base = planned.call, planned.inputs, planned.base
        self.op = BatchedOp(planned.call, planned.inputs, planned.base)
        self.cotangent = signed(rng, planned.base.shape)
        self.parts: Parts = []
        self.wrong: list[InputVerdict] = []
        self.kinks: dict[int, Array] = {}
        self.index: tuple[int, ...] | None = None  # of the worst wrong entry

    def faults(self) -> Iterator[OpFault]:
        """Check laws, inputs, ties and layouts; stop once a failure makes the next useless."""
        with np.errstate(all="ignore"):
            self.parts, breaches = check_laws(self.call, self.inputs, self.cotangent, self.rng)
        finite = all(p is None or np.isfinite(p).all() for p in self.parts)
        if self.planned.masked and not finite:
            return
        if breaches:
            yield OpFault(1.0, blame.breach(self.call, breaches[0]))
            if breaches[0].code != "mutates":
                return
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
            if not np.isfinite(analytic).all():
                yield OpFault(1.0, blame.not_finite(self.call, slot, analytic))
                continue
            verdict = check_input(
                self.op, slot, self.cotangent, analytic, self.rng, precision, how.colouring
            )
            if verdict.outcome.wrong.size:
                acquit_entries(verdict, precision)
                excuse(verdict, self.op, self.cotangent, self.rng)
            self.total.add_local(verdict)
            if verdict.outcome.wrong.size:
                self.wrong.append(verdict)
            elif verdict.exhaustive and (verdict.outcome.state == KINK).any():
                self.kinks[slot] = verdict.outcome.state == KINK

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
        tied = together(self.call, self.inputs, self.base, self.cotangent, self.parts, self.kinks)
        return None if tied is None else OpFault(1.0, blame.ties(self.call, self.kinks, *tied))

    def check_layouts(self) -> Iterator[OpFault]:
        with np.errstate(all="ignore"):
            layouts = check_layouts(self.call, self.inputs, self.base, self.cotangent, self.parts)
        if layouts:
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
