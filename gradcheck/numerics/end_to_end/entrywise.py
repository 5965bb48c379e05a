"""Leaves entry by entry against the whole forward: by differences, or by complex steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.numerics.core.arrays import index_at, signed
from gradcheck.numerics.core.differences import Precision, scale_of
from gradcheck.numerics.core.kinks import certify
from gradcheck.numerics.core.verdict import Comparison, Rules, compare
from gradcheck.numerics.end_to_end import bisect, complexstep
from gradcheck.numerics.end_to_end.directions import Forward, ReplayForward
from gradcheck.numerics.end_to_end.endtoend import FIRST_STEP, LeafFault
from gradcheck.numerics.end_to_end.exhaustive import EntryLines
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.end_to_end.replay import Replay

FLOOR, FLOOR_SINGLE = 1e-9, 100.0
"""Share of the largest gradient entry that counts as none: in float64, and in roundings of a
coarser dtype. Every entry is compared with the rounding of the whole forward."""
LEFT_OUT = 3
"""The largest steps are left out in float64: through a whole model an entry's function bends much
more than through one op."""
COMPLEX_TRUST, COMPLEX_TRUST_ABSOLUTE = 1e-5, 1e-9
"""A complex step is believed when a real difference along a direction agrees to this."""


def check_entries(
    point: Point, forward: Forward, precision: Precision
) -> tuple[dict[str, Comparison], list[LeafFault]]:
    """Every entry of every trainable leaf end to end: verdicts by leaf, and of each wrong leaf its
    worst entry."""
    gradients = {n: point.gradient(n) for n in point.trainable if point.values[n].size}
    if not gradients:
        return {}, []
    largest = max(float(np.max(np.abs(g))) for g in gradients.values())
    floor = (FLOOR if precision.double else FLOOR_SINGLE * precision.gradients) * largest
    lines = EntryLines(forward, {n: point.values[n] for n in gradients}, precision)
    parts = lines.parts()
    steps = np.empty(lines.size)
    for name, part in parts.items():
        steps[part] = 2.0 ** np.round(np.log2(point.scales[name]))
    analytic = np.concatenate([g.reshape(-1) for g in gradients.values()])
    exponents = precision.exponents[LEFT_OUT if precision.double else 0 :]
    whole = compare(lines, analytic, steps, precision, Rules(floor=floor, exponents=exponents))
    certify(lines, whole, steps, precision, may_fail=False)
    verdicts = {n: whole.part(parts[n]) for n in gradients}
    wrong = [_worst_entry(point, n, v) for n, v in verdicts.items() if v.wrong.size]
    return verdicts, wrong


@dataclass(frozen=True)
class ComplexStep:
    """What a leaf's complex steps gave. error: the largest, relative to the leaf's largest
    gradient."""

    error: float
    fault: LeafFault | None
    evaluations: int


def check_complex(
    point: Point, replay: Replay, rng: np.random.Generator, name: str, *, every_entry: bool
) -> ComplexStep:
    """Complex steps through one leaf: every entry, or one random direction. Raises NotAnalytic."""
    x = point.values[name].astype(np.float64)
    g = point.gradient(name)
    d = signed(rng, x.shape)
    h = scale_of(x) * FIRST_STEP[True]
    real = bisect.numeric_slope(ReplayForward(replay, point.weights), name, x, d, h)
    exact = float(complexstep.along(replay, point.weights, name, x, d[None])[0])
    size = float(np.sqrt(np.sum((g * d) ** 2))) + abs(exact)
    if abs(real - exact) > COMPLEX_TRUST * size + COMPLEX_TRUST_ABSOLUTE:
        raise complexstep.NotAnalytic(
            f"the complex step through {name} gives {exact:.6g}, a real difference {real:.6g}"
        )
    if every_entry:
        numeric = complexstep.gradient(replay, point.weights, name, x)
    else:
        numeric, g = np.array([exact]), np.array([float(np.sum(g * d))])
    scale = max(float(np.max(np.abs(g))), size) or float(np.max(np.abs(numeric)))
    gap = np.abs(numeric - g)
    if scale == 0.0:
        return ComplexStep(0.0, None, numeric.size)
    fault = None
    if gap.max() > complexstep.TOLERANCE * scale:
        i = int(np.argmax(gap))
        a, n = float(g.reshape(-1)[i]), float(numeric.reshape(-1)[i])
        fault = LeafFault(
            name,
            index_at(i, x.shape) if every_entry else None,
            a,
            n,
            relative=abs(a - n) / max(abs(a), abs(n)),
            missing=point.analytic[name] is None,
        )
    return ComplexStep(float(gap.max()) / scale, fault, numeric.size)


def _worst_entry(point: Point, name: str, outcome: Comparison) -> LeafFault:
    wrong = outcome.wrong
    i = int(wrong[np.argmax(np.abs(outcome.analytic - outcome.numeric)[wrong])])
    return LeafFault(
        name,
        index_at(i, point.values[name].shape),
        float(outcome.analytic[i]),
        float(outcome.numeric[i]),
        relative=float(outcome.relative()[i]),
        missing=point.analytic[name] is None or not np.any(point.analytic[name]),
        sampled=(wrong, outcome.numeric[wrong]),
    )
