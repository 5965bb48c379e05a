"""Turn verdicts into findings: which op, entry and line of the user's code, and by how much."""

from __future__ import annotations

import dataclasses

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall, backward_at
from gradcheck.numerics.core.arrays import first_true, index_at
from gradcheck.numerics.core.verdict import KINK, WRONG
from gradcheck.numerics.end_to_end.bisect import find_entry
from gradcheck.numerics.ops.local import FIRST_STEP, InputVerdict, OneOp, OpLines
from gradcheck.numerics.ops.pullback import Breach
from gradcheck.numerics.telling.diagnose import diagnose
from gradcheck.numerics.telling.evidence import LeafEvidence
from gradcheck.result import Finding
from gradcheck.source.line import with_code


def at_home(finding: Finding, home: str | None) -> Finding:
    """Point a finding of an op case at the op itself, since gradcheck called it."""
    if finding.where is not None or finding.op is None or not home:
        return finding
    said = f"{finding.op} is defined at "
    lines = finding.lines
    if not any(line.startswith(said) for line in lines):
        lines = (*lines, f"{said}{with_code(home)}")
    return dataclasses.replace(finding, where=home, lines=lines)


def called(call: OpCall) -> tuple[str, ...]:
    """Say where the user's op is called and where its backward is defined."""
    places = {"called": call.where, "defined": backward_at(call)}
    return tuple(f"{call.name} is {how} at {with_code(at)}" for how, at in places.items() if at)


def leaf_of(call: OpCall, slot: int) -> str | None:
    source = call.sources[slot]
    return source if isinstance(source, str) else None


def input_name(call: OpCall, slot: int) -> str:
    return call.input_names[slot] if slot < len(call.input_names) else f"input{slot}"


def breach(call: OpCall, law: Breach) -> Finding:
    name = "its input" if law.slot is None else f"input {input_name(call, law.slot)}"
    values = ""
    if law.got is not None and law.expected is not None and law.got != law.expected:
        digits = 6 if f"{law.got:.6g}" != f"{law.expected:.6g}" else 12
        got, expected = f"{law.got:.{digits}g}", f"{law.expected:.{digits}g}"
        values = f": {got} instead of {expected} at {list(law.index or ())}"
    return Finding(
        code=law.code,
        op=call.name,
        where=call.where,
        parameter=None if law.slot is None else leaf_of(call, law.slot),
        index=law.index,
        analytic=law.got,
        numeric=law.expected,
        message=f"op {call.name}: {law.message.format(input=name)}{values}",
        lines=called(call),
        advice=law.advice,
    )


def not_finite(call: OpCall, slot: int, analytic: Array) -> Finding:
    bad = ~np.isfinite(analytic)
    index = first_true(bad)
    name = input_name(call, slot)
    return Finding(
        code="not_finite",
        op=call.name,
        where=call.where,
        parameter=leaf_of(call, slot),
        index=index,
        message=f"op {call.name}: its pullback gives {analytic[index]} for input {name} at "
        f"{list(index)}, where the value is {np.asarray(call.inputs[slot])[index]:.6g} and the "
        "result is finite",
        lines=called(call),
        advice="guard the argument before the root, logarithm or division",
    )


def ties(
    call: OpCall, kinks: dict[int, Array], analytic: float, low: float, high: float
) -> Finding:
    """Report entries that are right one by one and wrong together."""
    slot = next(iter(kinks))
    first = int(np.argmax(kinks[slot].reshape(-1)))
    index = tuple(int(i) for i in np.unravel_index(first, np.shape(call.inputs[slot])))
    numeric = low if abs(analytic - low) < abs(analytic - high) else high
    names = ", ".join(input_name(call, s) for s in kinks)
    count = sum(int(k.sum()) for k in kinks.values())
    expected = f"{low:.6g}" if high - low < 1e-4 * abs(high) else f"{low:.6g} to {high:.6g}"
    return Finding(
        code="wrong_gradient",
        op=call.name,
        where=call.where,
        parameter=leaf_of(call, slot),
        index=index,
        analytic=analytic,
        numeric=numeric,
        relative_error=abs(analytic - numeric) / max(abs(analytic), abs(numeric)),
        message=f"the pullback of op {call.name} is wrong at ties: with the {count} tied entries "
        f"of {names} moved together the slope is {expected}, analytic {analytic:.6g}",
        lines=(
            "each entry alone lies between its left and right derivatives; their sum does not",
            *called(call),
        ),
        advice="ties share one cotangent: give it to one of them, or divide it among them",
        data={"input": input_name(call, slot)},
    )


def wrong_op(verdict: InputVerdict, part: Array | None, bad: list[InputVerdict]) -> Finding:
    """Report the worst entry of the worst input of an op."""
    call, outcome = verdict.call, verdict.outcome
    name = verdict.input_name
    shape = np.shape(call.inputs[verdict.slot])
    worst = outcome.wrong
    lines: list[str] = []
    advice = None
    if verdict.exhaustive:
        # Of the wrong entries the one with the largest absolute error shows the fault best.
        i = int(worst[np.argmax(np.abs(outcome.analytic - outcome.numeric)[worst])])
        index: tuple[int, ...] | None = index_at(i, shape)
        analytic, numeric = float(outcome.analytic[i]), float(outcome.numeric[i])
        settled = np.isfinite(outcome.numeric) & (outcome.state != KINK)
        text, advice = diagnose(
            outcome.analytic.reshape(shape),
            outcome.numeric.reshape(shape),
            settled.reshape(shape),
            x=np.asarray(call.inputs[verdict.slot]),
        )
        wrong = int((outcome.state == WRONG).sum())
        lines.append(f"{wrong} of {outcome.analytic.size} entries of {name} are wrong")
        if text:
            lines.append(f"diagnosis: {text}")
    else:
        i = int(worst[0])
        index, analytic, numeric = locate(verdict, part)
        lines.append("found along random directions through " + name)
    error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-300)
    bar = max(float(outcome.error[i]), 1e-300)
    lines.insert(
        0,
        f"analytic {analytic:.9g}, numeric {numeric:.9g}, relative error {error:.3g} "
        f"({abs(outcome.analytic[i] - outcome.numeric[i]) / bar:.2g} error bars)",
    )
    others = [v.input_name for v in bad if v is not verdict]
    if others:
        lines.append(f"also wrong: {', '.join(others)}")
    at = f"{name}{list(index)}" if index is not None and shape else name
    leaf = leaf_of(call, verdict.slot)
    held = f" (leaf {leaf})" if leaf and leaf != name else ""
    missing = part is None or not np.any(part)
    verb = "gives no gradient" if missing else "is wrong"
    return Finding(
        code="missing_gradient" if missing else "wrong_gradient",
        op=call.name,
        where=call.where,
        parameter=leaf,
        index=index,
        analytic=analytic,
        numeric=numeric,
        relative_error=error,
        message=f"the pullback of op {call.name} {verb} for {at}{held}: off by {_percent(error)}",
        lines=(*lines, *called(call)),
        advice=advice
        or f"derive the gradient with respect to {name} on paper and compare it with the pullback, "
        "line by line",
        data={"input": name, "shape": list(shape)},
    )


def locate(verdict: InputVerdict, part: Array | None) -> tuple[tuple[int, ...], float, float]:
    """Find the entry behind a failing random direction of an op's input, by bisection."""
    lines = verdict.lines
    assert not isinstance(lines, OpLines)
    i = int(verdict.outcome.wrong[0])
    x = lines.x
    gradient = np.zeros(x.shape) if part is None else np.asarray(part, dtype=np.float64)
    direction = lines.directions[i].reshape(x.shape)
    h = float(verdict.h0[i]) * FIRST_STEP
    total = float(verdict.outcome.numeric[i])
    forward = OneOp(lines.op, lines.slot, lines.weights)
    return find_entry(forward, "", x, gradient, direction, h, total)


def wrong_leaf(
    seen: LeafEvidence, wrong: list[str], total: int, *, ops_are_right: bool, first: bool
) -> Finding:
    """Report a leaf that fails end to end. wrong: all wrong leaves, of `total`. first: whether it
    is the worst, which speaks for the others. ops_are_right: whether every
    op call was checked by itself."""
    fault = seen.fault
    name, index, analytic, numeric = fault.name, fault.index, fault.analytic, fault.numeric
    in_bars = ""
    if seen.bars is not None:
        in_bars = f" ({seen.bars:.2g} error bars along a direction through the tensor)"
    lines = [
        f"analytic {analytic:.9g}, numeric {numeric:.9g}, "
        f"relative error {fault.relative:.3g}{in_bars}"
    ]
    advice = None
    if first:
        if len(wrong) > 1:
            rest = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
            lines.append(f"{len(wrong)} of {total} tensors are wrong: {rest}")
        advice = seen.diagnosis.advice
        if seen.diagnosis.text:
            lines.append(f"diagnosis (of {seen.looked_at} entries): {seen.diagnosis.text}")
        if ops_are_right:
            lines.append(
                "every op's own pullback is right at these values: the fault is in how gradients "
                "are added up or routed (accumulation, tied weights, a branch outside the graph)"
            )
    at = f"{name}{list(index)}" if index else name
    what = (
        f"{name} gets no gradient, but the result depends on it (numeric "
        f"{numeric:.6g} at {list(index or ())})"
        if fault.missing
        else f"the gradient of {at} is wrong: off by {_percent(fault.relative)}"
    )
    return Finding(
        code="missing_gradient" if fault.missing else "wrong_gradient",
        parameter=name,
        index=index,
        analytic=analytic,
        numeric=numeric,
        relative_error=fault.relative,
        message=what,
        lines=tuple(lines),
        advice=advice,
    )


def with_consequences(finding: Finding, wrong: list[str], total: int) -> Finding:
    """Add which leaves an op's fault reaches."""
    if not wrong:
        return finding
    names = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    line = f"end to end it corrupts {len(wrong)} of {total} tensors: {names}"
    parameter = finding.parameter or wrong[0]
    return dataclasses.replace(finding, lines=(*finding.lines, line), parameter=parameter)


def also(finding: Finding, more: int) -> Finding:
    """Add how many other calls of the op have the same fault."""
    if not more:
        return finding
    line = f"the same in {more} other call{'s' if more > 1 else ''} of {finding.op}"
    return dataclasses.replace(finding, lines=(*finding.lines, line))


def _percent(error: float) -> str:
    return f"{100 * error:.3g} %" if error >= 1e-3 else f"{error:.2g} of its size"
