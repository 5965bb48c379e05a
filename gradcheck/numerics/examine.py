"""Both proofs at one point: every recorded op, then every leaf against the whole forward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics import blame
from gradcheck.numerics.batching import BatchedOp
from gradcheck.numerics.certificate import Certificate
from gradcheck.numerics.complexstep import NotAnalytic
from gradcheck.numerics.endtoend import (
    EndToEnd,
    check_complex,
    check_directions,
    check_entries,
    make_forward,
    precision_of,
)
from gradcheck.numerics.figures import heatmap, of_wrong_op
from gradcheck.numerics.laws import check_laws, check_layouts
from gradcheck.numerics.local import InputVerdict, check_input, float64, signed
from gradcheck.numerics.masked import FiniteResults
from gradcheck.numerics.nearby import excuse
from gradcheck.numerics.noise import Precision, scale_of
from gradcheck.numerics.preflight import Point, prepare
from gradcheck.numerics.replay import Replay
from gradcheck.numerics.secondlook import acquit, acquit_entries
from gradcheck.numerics.secondorder import SecondOrder, check_second_order
from gradcheck.numerics.ties import together
from gradcheck.numerics.verdict import KINK
from gradcheck.result import Finding
from gradcheck.subject import Subject

MOST = 5
"""Findings shown for one point."""


@dataclass
class Examination:
    findings: list[Finding] = field(default_factory=list)
    certificate: Certificate = field(default_factory=Certificate)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    point: Point | None = None


def examine(
    subject: Subject,
    *,
    seed: int = 0,
    directions: int = 1,
    budget: float = 5e7,
    scalar: bool | None = None,
    exhaustive: bool = False,
    method: str = "auto",
    order: int = 1,
) -> Examination:
    """Check the gradients of `subject` where it stands. `subject` is used up."""
    with np.errstate(all="ignore"):  # what is not finite becomes a finding
        return _examine(
            subject,
            seed,
            directions,
            budget,
            scalar,
            exhaustive=exhaustive,
            method=method,
            order=order,
        )


def _examine(
    subject: Subject,
    seed: int,
    directions: int,
    budget: float,
    scalar: bool | None,
    *,
    exhaustive: bool,
    method: str,
    order: int,
) -> Examination:
    rng = np.random.default_rng([seed, 11])
    done = Examination()
    if scalar is None:
        scalar = subject.case.op is None
    point = prepare(subject, rng, scalar=scalar)
    if isinstance(point, Finding):
        done.findings.append(point)
        return done
    done.point = point
    done.notes += point.notes
    precision = precision_of(point)
    replay = None
    faults: list[Finding] = []
    if point.tape and precision.double:
        replay = Replay(point.tape)
        faults = check_calls(
            point.tape, replay, rng, done.certificate, budget=budget, figures=done.figures
        )
    done.findings += faults or point.findings
    forward = make_forward(point, replay, rng, precision)
    found = check_directions(
        point, forward, precision, rng, directions=directions, settle=not faults
    )
    if not faults and found.faults:
        done.notes += acquit(point, forward, found, precision)
    if not faults and found.faults and done.certificate.kinks:
        found = _beside(done, point, rng, scalar, directions) or found
    if not faults and found.names:
        if exhaustive and method != "complex":
            verdicts = check_entries(point, forward, precision, found)
            done.certificate.exhaustive = True
            done.figures["heatmap"] = {n: heatmap(v, point.values[n]) for n, v in verdicts.items()}
        if method == "complex":
            _complex(done, point, replay, rng, found, exhaustive)
    count = sum(point.values[n].size for n in point.trainable)
    done.certificate.add_end_to_end(found, count, point.medians())
    if faults:
        done.findings[0] = blame.with_consequences(
            done.findings[0], found.wrong, len(point.trainable)
        )
    else:
        done.findings += blame.end_to_end(point, found, local=replay is not None)
    if order == 2 and not done.findings:
        if isinstance(subject.framework, SecondOrder):
            done.findings += check_second_order(point, rng)
        else:
            done.notes.append(
                f"{subject.framework.name} cannot differentiate its own backward: only first "
                "derivatives were checked"
            )
    if not precision.double:
        limit = float(np.median(found.outcome.limit / np.maximum(found.outcome.scale, 1e-300)))
        limit = max(limit, precision.relative)
        done.notes.append(
            "this framework computes in float32: relative errors below about "
            f"{limit:.0e} cannot be seen"
        )
    if point.tape is None:
        done.notes.append(
            "the framework records no op calls: checked end to end only, along random directions"
        )
    frozen = len(subject.leaves) - len(point.trainable)
    if frozen:
        done.notes.append(f"{frozen} frozen leaves were not checked")
    done.findings = done.findings[:MOST]
    return done


def _beside(
    done: Examination, point: Point, rng: np.random.Generator, scalar: bool, directions: int
) -> EndToEnd | None:
    """End to end at a point beside the kinks, when all is well there.

    At a kink of several pieces a direction has a left and a right slope, and the gradient of one
    piece need not lie between them.
    """
    subject = point.subject.fresh()
    for name in point.trainable:
        x = point.values[name]
        away = 2.0**-13 * scale_of(x) * rng.uniform(-1.0, 1.0, x.shape)
        subject.set(name, x + away)
    moved = prepare(subject, rng, scalar=scalar)
    if isinstance(moved, Finding) or moved.findings or not moved.tape:
        return None
    precision = precision_of(moved)
    forward = make_forward(moved, Replay(moved.tape), rng, precision)
    found = check_directions(moved, forward, precision, rng, directions=directions, settle=True)
    if found.faults:
        return None
    done.notes.append("the point is at a kink: end to end it was checked beside it")
    return found


def _complex(
    done: Examination,
    point: Point,
    replay: Replay | None,
    rng: np.random.Generator,
    found: EndToEnd,
    exhaustive: bool,
) -> None:
    if replay is None or not found.replayed:
        done.notes.append(
            "complex steps need a tape that the forward follows; real differences were used"
        )
        return
    try:
        worst = check_complex(point, replay, rng, found, every_entry=exhaustive)
        done.certificate.exhaustive = exhaustive
        done.certificate.complex_error = worst
    except NotAnalytic as error:
        done.notes.append(f"no complex steps, real differences were used: {error}")


def check_calls(
    tape: list[OpCall],
    replay: Replay,
    rng: np.random.Generator,
    certificate: Certificate,
    *,
    budget: float,
    figures: dict[str, Any],
) -> list[Finding]:
    """Every op call: laws, then every entry of every input. One finding per faulty call. figures:
    filled with what the report draws of the first wrong op."""
    faults: list[tuple[float, Finding]] = []
    precision = Precision()
    seen: set[str] = set()
    known: dict[Any, Any] = {}
    share = budget / max(len(tape), 1)
    spare = 0.0
    for call in tape:
        certificate.calls += 1
        inputs = [float64(v) for v in call.inputs]
        with np.errstate(all="ignore"):
            base = np.asarray(call.run(inputs))
        whole = np.isfinite(base)
        if not whole.any() or np.isnan(base).any():
            continue  # the end-to-end proof covers it
        if not whole.all():  # masked scores are -inf on purpose
            call, base = FiniteResults(call, whole), np.where(whole, base, 0.0)
        cotangent = signed(rng, base.shape)
        with np.errstate(all="ignore"):
            parts, breaches = check_laws(call, inputs, cotangent, rng)
        if not whole.all() and any(p is not None and not np.isfinite(p).all() for p in parts):
            continue
        if breaches:
            faults.append((1.0, blame.breach(call, breaches[0])))
            if breaches[0].code != "mutates":
                continue
        op = BatchedOp(call, inputs, base)
        bad: list[InputVerdict] = []
        kinks: dict[int, Array] = {}
        for slot, part in enumerate(parts):
            if not call.needs[slot] or not isinstance(inputs[slot], np.ndarray):
                continue
            analytic = np.zeros(inputs[slot].shape) if part is None else part
            if not np.isfinite(analytic).all():
                faults.append((1.0, blame.not_finite(call, slot, analytic)))
                continue
            verdict = check_input(
                op,
                slot,
                cotangent,
                analytic,
                rng,
                precision,
                budget=share + spare,
                known=known,
            )
            if verdict.outcome.wrong.size:
                acquit_entries(verdict, precision)
                excuse(verdict, op, cotangent, rng)
            spent = verdict.evaluations * float(base.size + inputs[slot].size + 2000)
            spare = max(0.0, spare + share - spent) if spare or spent < share else 0.0
            certificate.add_local(verdict)
            if verdict.outcome.wrong.size:
                bad.append(verdict)
            elif verdict.exhaustive and (verdict.outcome.state == KINK).any():
                kinks[slot] = verdict.outcome.state == KINK
        if bad:
            worst = max(bad, key=lambda v: float(v.outcome.relative()[v.outcome.wrong].max()))
            finding = blame.wrong_op(worst, parts[worst.slot], bad)
            if not figures:
                figures.update(of_wrong_op(op, worst, finding.index, cotangent))
            faults.append((finding.relative_error or 0.0, finding))
            continue
        if sum(int(k.sum()) for k in kinks.values()) > 1:
            tied = together(call, inputs, base, cotangent, parts, kinks)
            if tied is not None:
                faults.append((1.0, blame.ties(call, kinks, *tied)))
                continue
        kind = (call.name, tuple(np.ndim(v) for v in inputs), call.attrs.keys())
        if not breaches and str(kind) not in seen:
            seen.add(str(kind))  # how memory is read does not depend on the values
            with np.errstate(all="ignore"):
                layouts = check_layouts(call, inputs, base, cotangent, parts)
            if layouts:
                faults.append((1.0, blame.breach(call, layouts[0])))
    return _merged(faults)


def _merged(faults: list[tuple[float, Finding]]) -> list[Finding]:
    """Worst first; calls of the same op with the same fault become one finding."""
    faults = sorted(faults, key=lambda f: -f[0])
    kept: dict[tuple[str | None, str], Finding] = {}
    more: dict[tuple[str | None, str], int] = {}
    for _, finding in faults:
        key = (finding.op, finding.code)
        more[key] = more.get(key, -1) + 1
        kept.setdefault(key, finding)
    return [
        blame.also(finding, more[key]) if more[key] else finding for key, finding in kept.items()
    ]
