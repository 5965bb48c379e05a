"""The second proof: analytic gradients of every leaf against the whole forward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics import bisect, blocks, complexstep
from gradcheck.numerics.directions import (
    DirectionLines,
    Forward,
    FrameworkForward,
    ReplayForward,
    faithful,
    noise_of,
)
from gradcheck.numerics.exhaustive import EntryLines
from gradcheck.numerics.kinks import certify
from gradcheck.numerics.local import signed
from gradcheck.numerics.noise import Precision, scale_of
from gradcheck.numerics.preflight import Point
from gradcheck.numerics.replay import Replay
from gradcheck.numerics.verdict import RIGHT, UNSURE, WRONG, Comparison, compare

SMALL = 16
"""Tensors up to this size are checked entry by entry where there is no tape."""


@dataclass
class LeafFault:
    """One leaf whose gradient disagrees end to end. analytic and numeric are at `index`."""

    name: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    relative: float
    missing: bool
    sampled: tuple[Array, Array, Array] | None = None  # flat indices, analytic, numeric
    drawn: dict[str, Any] | None = None  # where in the leaf the errors are


@dataclass
class EndToEnd:
    """Verdicts per leaf."""

    names: list[str]
    outcome: Comparison
    evaluations: int
    replayed: bool
    faults: list[LeafFault] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def precision_of(point: Point) -> Precision:
    """The coarser of what the framework declares and what it actually handed out."""
    framework = point.subject.framework.precision
    kinds = [point.dtype] + [v.dtype for v in point.values.values()]
    data = max([np.dtype(framework.data), *kinds], key=lambda d: float(np.finfo(d).eps))
    grads = [g.dtype for g in point.analytic.values() if g is not None]
    gradient = max([np.dtype(framework.gradients), *grads], key=lambda d: float(np.finfo(d).eps))
    return Precision.of(data.name, gradient.name)


def make_forward(
    point: Point, replay: Replay | None, rng: np.random.Generator, precision: Precision
) -> Forward:
    """Replay where it was proven to follow the framework, the framework itself otherwise."""
    if replay is not None and precision.double and faithful(point.subject, replay, rng):
        return ReplayForward(replay, point.weights)
    return FrameworkForward(point.subject, point.weights, point.value)


def check_directions(
    point: Point,
    forward: Forward,
    precision: Precision,
    rng: np.random.Generator,
    *,
    directions: int = 1,
    settle: bool = True,
) -> EndToEnd:
    """`directions` random directions per trainable leaf.

    settle: False when a wrong op was already found; then wrong leaves are counted, not examined.
    """
    names = [n for n in point.trainable if point.values[n].size]
    values = {n: point.values[n].astype(np.float64) for n in names}
    gradients = {n: gradient_of(point, n) for n in names}
    targets = [(n, signed(rng, values[n].shape)) for n in names for _ in range(directions)]
    slopes = np.array([float(np.sum(gradients[n] * d)) for n, d in targets])
    norms = np.array([float(np.sqrt(np.sum((gradients[n] * d) ** 2))) for n, d in targets])
    steps = np.array([2.0 ** np.round(np.log2(scale_of(values[n]))) for n, _ in targets])
    if not targets:
        empty = np.zeros(0)
        return EndToEnd([], Comparison(empty, empty, empty, empty, empty, empty), 0, False)
    noise = noise_of(forward, *_line(targets[0], values), precision)
    lines = DirectionLines(forward, values, targets, noise)
    largest = float(norms.max()) if norms.size else 0.0
    floor = (1e-12 if precision.double else 20 * precision.gradients) * largest
    unit = float(np.max(np.abs(point.weights), initial=0.0)) * min(1.0, float(steps.max())) ** 2
    floor = max(floor, 64 * precision.gradients * unit)  # as of a probability less one
    outcome = compare(
        lines,
        slopes,
        steps,
        precision,
        scale=norms,
        floor=floor,
        first=0,
        pairs_first=2,
        rungs=1 if not settle else None,
        small_votes=2,
        sure=8.0,
    )
    if settle:
        certify(lines, outcome, steps, precision, may_fail=False)
    else:
        apart = np.abs(outcome.numeric - outcome.analytic)
        gone = (outcome.state == 0) & (apart > 20 * outcome.error) & (apart > 1e-6 * norms)
        outcome.state[gone] = WRONG
    found = EndToEnd(
        [n for n, _ in targets],
        outcome,
        lines.evaluations,
        isinstance(forward, ReplayForward),
        wrong=list(dict.fromkeys(targets[i][0] for i in outcome.wrong)),
        unused=[n for n in names if point.analytic[n] is None],
    )
    if settle:
        for i in outcome.wrong:
            name, direction = targets[int(i)]
            if any(f.name == name for f in found.faults) or len(found.faults) == 3:
                continue
            if not _again(forward, values, name, gradients[name], steps[i], noise, precision, rng):
                outcome.state[i] = UNSURE
                found.wrong = [n for n in found.wrong if n != name]
                continue
            found.faults.append(
                _examine(
                    point,
                    forward,
                    name,
                    direction,
                    gradients[name],
                    steps[i],
                    float(outcome.numeric[i]),
                    entries=not found.faults,
                )
            )
        found.evaluations = lines.evaluations
    return found


def _again(
    forward: Forward,
    values: dict[str, Array],
    name: str,
    gradient: Array,
    step: float,
    noise: float,
    precision: Precision,
    rng: np.random.Generator,
) -> bool:
    """Whether a leaf fails along two more directions too.

    Where a direction runs through several kinks at once their bends may cancel, and the slope looks
    smooth and is not the analytic one. That does not happen three times; an error stays.
    """
    x = values[name]
    targets = [(name, signed(rng, x.shape)) for _ in range(2)]
    slopes = np.array([float(np.sum(gradient * d)) for _, d in targets])
    norms = np.array([float(np.sqrt(np.sum((gradient * d) ** 2))) for _, d in targets])
    lines = DirectionLines(forward, values, targets, noise)
    outcome = compare(
        lines, slopes, np.full(2, step), precision, scale=norms, pairs_first=2, small_votes=2
    )
    apart = np.abs(outcome.numeric - slopes)
    failed = (outcome.state == WRONG) | ((outcome.state != RIGHT) & (apart > 5 * outcome.error))
    return x.size == 1 or bool(failed.all())


def check_entries(
    point: Point, forward: Forward, precision: Precision, found: EndToEnd
) -> dict[str, Comparison]:
    """Every entry of every trainable leaf end to end. Adds faults to `found`; verdicts by leaf."""
    names = list(dict.fromkeys(found.names))
    gradients = {n: gradient_of(point, n) for n in names}
    largest = max((float(np.max(np.abs(g))) for g in gradients.values()), default=0.0)
    floor = (1e-9 if precision.double else 100 * precision.gradients) * largest
    verdicts = {}
    for name in names:
        x = point.values[name].astype(np.float64)
        direction = np.ones(x.shape)
        noise = noise_of(forward, name, x, direction, precision)
        lines = EntryLines(forward, name, x, noise)
        steps = np.full(x.size, 2.0 ** np.round(np.log2(scale_of(x))))
        outcome = compare(
            lines,
            gradients[name].reshape(-1),
            steps,
            precision,
            floor=floor,
            first=3 if precision.double else 0,
        )
        certify(lines, outcome, steps, precision, may_fail=False)
        verdicts[name] = outcome
        if outcome.wrong.size and not any(f.name == name for f in found.faults):
            found.faults.append(_worst_entry(point, name, outcome))
            found.wrong.append(name)
    found.evaluations = forward.evaluations
    return verdicts


def check_complex(
    point: Point, replay: Replay, rng: np.random.Generator, found: EndToEnd, *, every_entry: bool
) -> float:
    """Complex steps: every entry, or a random direction per leaf. Returns the largest error
    relative to the largest gradient of its leaf. Raises NotAnalytic."""
    worst = 0.0
    for name in dict.fromkeys(found.names):
        x = point.values[name].astype(np.float64)
        g = gradient_of(point, name)
        d = signed(rng, x.shape)
        h = scale_of(x) * 2.0**-9
        real = bisect.numeric_slope(ReplayForward(replay, point.weights), name, x, d, h)
        exact = float(complexstep.along(replay, point.weights, name, x, d[None])[0])
        size = float(np.sqrt(np.sum((g * d) ** 2))) + abs(exact)
        if abs(real - exact) > 1e-5 * size + 1e-9:
            raise complexstep.NotAnalytic(
                f"the complex step through {name} gives {exact:.6g}, a real difference {real:.6g}"
            )
        if every_entry:
            numeric = complexstep.gradient(replay, point.weights, name, x)
        else:
            numeric, g = np.array([exact]), np.array([float(np.sum(g * d))])
        found.evaluations += numeric.size
        scale = max(float(np.max(np.abs(g))), float(np.max(np.abs(numeric))), size if size else 0.0)
        gap = np.abs(numeric - g)
        if scale == 0.0:
            continue
        worst = max(worst, float(gap.max()) / scale)
        if gap.max() > complexstep.TOLERANCE * scale and all(f.name != name for f in found.faults):
            i = int(np.argmax(gap))
            index = tuple(int(k) for k in np.unravel_index(i, x.shape)) if every_entry else None
            a, n = float(g.reshape(-1)[i]), float(numeric.reshape(-1)[i])
            relative = abs(a - n) / max(abs(a), abs(n))
            found.faults.append(
                LeafFault(name, index, a, n, relative, point.analytic[name] is None)
            )
            found.wrong.append(name)
    return worst


def _worst_entry(point: Point, name: str, outcome: Comparison) -> LeafFault:
    wrong = outcome.wrong
    i = int(wrong[np.argmax(np.abs(outcome.analytic - outcome.numeric)[wrong])])
    index = tuple(int(k) for k in np.unravel_index(i, point.values[name].shape))
    missing = point.analytic[name] is None or not np.any(point.analytic[name])
    return LeafFault(
        name,
        index,
        float(outcome.analytic[i]),
        float(outcome.numeric[i]),
        float(outcome.relative()[i]),
        missing,
        (wrong, outcome.analytic[wrong], outcome.numeric[wrong]),
    )


def gradient_of(point: Point, name: str) -> Array:
    """float64; zeros where the framework has none."""
    g = point.analytic[name]
    return np.zeros(point.values[name].shape) if g is None else g.astype(np.float64)


def _line(target: tuple[str, Array], values: dict[str, Array]) -> tuple[str, Array, Array]:
    return target[0], values[target[0]], target[1]


def _examine(
    point: Point,
    forward: Forward,
    name: str,
    direction: Array,
    gradient: Array,
    scale: float,
    total: float,
    *,
    entries: bool,
) -> LeafFault:
    """The entry, and (for the worst leaf) a sample of entries to diagnose from and a picture."""
    x = point.values[name].astype(np.float64)
    h = scale * (2.0**-9 if point.values[name].dtype == np.float64 else 2.0**-5)
    index, analytic, numeric = bisect.find_entry(forward, name, x, gradient, direction, h, total)
    sampled = drawn = None
    if entries:
        drawn = blocks.heatmap(forward, name, x, gradient, direction, h)
        count = min(x.size, 12)
        chosen = np.linspace(0, x.size - 1, count).round().astype(np.int64)
        sampled = (
            chosen,
            gradient.reshape(-1)[chosen],
            bisect.entries(forward, name, x, chosen, h),
        )
    size = max(abs(analytic), abs(numeric))
    missing = point.analytic[name] is None or not np.any(gradient)
    return LeafFault(
        name,
        index,
        analytic,
        numeric,
        abs(analytic - numeric) / size if size else 0.0,
        missing,
        sampled,
        drawn,
    )
