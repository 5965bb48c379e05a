"""The second proof: analytic gradients of every leaf against the whole forward."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.kinks import certify
from gradcheck.numerics.core.noise import Precision
from gradcheck.numerics.core.verdict import RIGHT, UNSURE, WRONG, Comparison, compare
from gradcheck.numerics.end_to_end import bisect, blocks
from gradcheck.numerics.end_to_end.directions import (
    DirectionLines,
    Forward,
    FrameworkForward,
    ReplayForward,
    faithful,
)
from gradcheck.numerics.end_to_end.preflight import Point
from gradcheck.numerics.end_to_end.replay import Replay
from gradcheck.numerics.ops.local import signed

FIRST, AGAIN = 5.0, 4.0
"""Error bars by which one direction, and then two more, must disagree before a leaf is called
wrong. An entry alone needs more (`verdict.SURE`), for nothing confirms it."""


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
    if replay is not None and precision.double and faithful(point, replay, rng):
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
    only: Container[str] | None = None,
) -> EndToEnd:
    """`directions` random directions per trainable leaf.

    settle: False when a wrong op was already found; then wrong leaves are counted, not examined.
    only: the leaves to check, where other shards check the others.
    """
    names = [n for n in point.trainable if point.values[n].size]
    values = {n: point.values[n].astype(np.float64) for n in names}
    gradients = {n: gradient_of(point, n) for n in names}
    targets = [(n, signed(rng, values[n].shape)) for n in names for _ in range(directions)]
    parts = [gradients[n] * d for n, d in targets]
    slopes = np.array([float(p.sum()) for p in parts])
    norms = np.array([float(np.linalg.norm(p)) for p in parts])
    steps = np.array([2.0 ** np.round(np.log2(point.scales[n])) for n, _ in targets])
    if not targets:
        empty = np.zeros(0)
        return EndToEnd([], Comparison(empty, empty, empty, empty, empty, empty), 0, False)
    probe = targets[0]
    largest = float(norms.max()) if norms.size else 0.0
    floor = (1e-12 if precision.double else 20 * precision.gradients) * largest
    unit = float(np.max(np.abs(point.weights), initial=0.0)) * min(1.0, float(steps.max())) ** 2
    floor = max(floor, 64 * precision.gradients * unit)  # as of a probability less one
    again = int(rng.integers(2**32))
    if only is not None:  # drawn for all and measured against all: a leaf's verdict stays the same
        kept = [i for i, (n, _) in enumerate(targets) if n in only]
        targets = [targets[i] for i in kept]
        slopes, norms, steps = slopes[kept], norms[kept], steps[kept]
    lines = DirectionLines(forward, values, targets, precision, probe=probe)
    outcome = compare(
        lines,
        slopes,
        steps,
        precision,
        scale=norms,
        floor=floor,
        exponents=precision.exponents_along[: None if settle else 1],
        pairs_first=2,
        small_votes=2,
        sure=FIRST,
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
        severity = outcome.severity()
        for i in sorted(outcome.wrong, key=lambda i: (-severity[i], i)):
            name, direction = targets[int(i)]
            if any(f.name == name for f in found.faults) or len(found.faults) == 3:
                continue
            more = np.random.default_rng([again, names.index(name)])
            if not _again(lines, name, gradients[name], steps[i], more):
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
    lines: DirectionLines, name: str, gradient: Array, step: float, rng: np.random.Generator
) -> bool:
    """Whether a leaf fails along two more directions too.

    Where a direction runs through several kinks at once their bends may cancel, and the slope looks
    smooth and is not the analytic one. That does not happen three times; an error stays.
    """
    x, precision = lines.values[name], lines.precision
    targets = [(name, signed(rng, x.shape)) for _ in range(2)]
    slopes = np.array([float(np.sum(gradient * d)) for _, d in targets])
    norms = np.array([float(np.sqrt(np.sum((gradient * d) ** 2))) for _, d in targets])
    lines = DirectionLines(lines.forward, lines.values, targets, precision, level=lines.level)
    outcome = compare(
        lines,
        slopes,
        np.full(2, step),
        precision,
        scale=norms,
        exponents=precision.exponents_along,
        pairs_first=2,
        small_votes=2,
        sure=AGAIN,  # an accusation, so that no blunter step clears it
    )
    apart = np.abs(outcome.numeric - slopes)
    failed = (outcome.state == WRONG) | ((outcome.state != RIGHT) & (apart > AGAIN * outcome.error))
    return x.size == 1 or bool(failed.all())


def gradient_of(point: Point, name: str) -> Array:
    """float64; zeros where the framework has none."""
    g = point.analytic[name]
    return np.zeros(point.values[name].shape) if g is None else g.astype(np.float64)


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
