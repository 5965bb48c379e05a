"""The first proof: every recorded op call of a shard at its real inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.noise import Precision
from gradcheck.numerics.core.verdict import KINK
from gradcheck.numerics.end_to_end.secondlook import acquit_entries
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.laws import check_laws, check_layouts
from gradcheck.numerics.ops.local import InputVerdict, check_input, signed
from gradcheck.numerics.ops.nearby import excuse
from gradcheck.numerics.ops.plan import Planned, plan_calls
from gradcheck.numerics.ops.ties import together
from gradcheck.numerics.telling import blame
from gradcheck.numerics.telling.certificate import Certificate
from gradcheck.numerics.telling.figures import of_wrong_op
from gradcheck.result import Finding, Json, plain
from gradcheck.shards import Dealer, Shard


@dataclass
class LocalProof:
    """What was found about the calls of one shard. faults: the worst first, one for each op and
    code. figures: what the report draws of a wrong op, by the place of its call."""

    certificate: Certificate = field(default_factory=Certificate)
    faults: list[Json] = field(default_factory=list)
    figures: list[Json] = field(default_factory=list)

    def to_json(self) -> dict[str, Json]:
        return plain(asdict(self))


def check_calls(tape: list[OpCall], *, seed: int, budget: float, shard: Shard) -> LocalProof:
    """The calls of `shard`: laws, then every entry of every input."""
    proof = LocalProof()
    faults: list[Json] = []
    dealer = Dealer(shard)
    for planned in plan_calls(tape, np.random.default_rng([seed, 12]), budget):
        if isinstance(planned, int):
            proof.certificate.calls += shard.last  # counted once; the end-to-end proof covers it
        elif dealer.mine(planned.cost):
            proof.certificate.calls += 1
            rng = np.random.default_rng([seed, 13, planned.index])
            for error, finding in _check(planned, rng, proof):
                faults.append(
                    {
                        "error": error,
                        "order": [planned.index, len(faults)],
                        "more": 0,
                        "finding": finding.to_json(),
                    }
                )
    proof.faults = one_each(faults)
    return proof


def _check(
    planned: Planned, rng: np.random.Generator, proof: LocalProof
) -> Iterator[tuple[float, Finding]]:
    """(how bad, finding) for each fault of one call."""
    call, inputs, base = planned.call, planned.inputs, planned.base
    cotangent = signed(rng, base.shape)
    with np.errstate(all="ignore"):
        parts, breaches = check_laws(call, inputs, cotangent, rng)
    if planned.masked and any(p is not None and not np.isfinite(p).all() for p in parts):
        return
    if breaches:
        yield 1.0, blame.breach(call, breaches[0])
        if breaches[0].code != "mutates":
            return
    op = BatchedOp(call, inputs, base)
    bad: list[InputVerdict] = []
    kinks: dict[int, Array] = {}
    for slot, how in planned.plans.items():
        part = parts[slot]
        analytic = np.zeros(inputs[slot].shape) if part is None else part
        if not np.isfinite(analytic).all():
            yield 1.0, blame.not_finite(call, slot, analytic)
            continue
        verdict = check_input(op, slot, cotangent, analytic, rng, Precision(), how.colouring)
        if verdict.outcome.wrong.size:
            acquit_entries(verdict, Precision())
            excuse(verdict, op, cotangent, rng)
        proof.certificate.add_local(verdict)
        if verdict.outcome.wrong.size:
            bad.append(verdict)
        elif verdict.exhaustive and (verdict.outcome.state == KINK).any():
            kinks[slot] = verdict.outcome.state == KINK
    if bad:
        worst = max(bad, key=lambda v: float(v.outcome.relative()[v.outcome.wrong].max()))
        finding = blame.wrong_op(worst, parts[worst.slot], bad)
        if not proof.figures:
            drawn = of_wrong_op(op, worst, parts[worst.slot], finding.index, cotangent)
            proof.figures += [[planned.index, drawn]] if drawn else []
        yield finding.relative_error or 0.0, finding
        return
    if sum(int(k.sum()) for k in kinks.values()) > 1:
        tied = together(call, inputs, base, cotangent, parts, kinks)
        if tied is not None:
            yield 1.0, blame.ties(call, kinks, *tied)
            return
    if planned.first and not breaches:
        with np.errstate(all="ignore"):
            layouts = check_layouts(call, inputs, base, cotangent, parts)
        if layouts:
            yield 1.0, blame.breach(call, layouts[0])


def one_each(faults: list[Json]) -> list[Json]:
    """Worst first; calls of the same op with the same fault become one, which counts the others.

    The same whether it is asked of all faults at once or of what it made of some of them.
    """
    kept: dict[tuple[str | None, str], Json] = {}
    for fault in sorted(faults, key=lambda f: (-float(f["error"]), f["order"])):
        key = (fault["finding"]["op"], fault["finding"]["code"])
        if key in kept:
            kept[key]["more"] += 1 + fault["more"]
        else:
            kept[key] = dict(fault)
    return list(kept.values())
