"""The second proof: analytic gradients of every leaf against the whole forward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.arrays import signed
from gradcheck.numerics.core.differences import Precision
from gradcheck.numerics.core.kinks import certify
from gradcheck.numerics.core.verdict import (
    OPEN,
    RIGHT,
    UNSURE,
    WRONG,
    Comparison,
    Rules,
    compare,
    unseen,
)
from gradcheck.numerics.end_to_end import bisect, blocks
from gradcheck.numerics.end_to_end.directions import (
    REACH,
    DirectionLines,
    Directions,
    Domain,
    Forward,
    FrameworkForward,
    ReplayForward,
    faithful,
    inside,
)
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.end_to_end.replay import Replay
from gradcheck.numerics.end_to_end.rough import settle_rough, wrong_entry

FIRST, AGAIN = 5.0, 4.0
"""Error bars by which one direction, and then two more, must disagree before a leaf is called
wrong. An entry alone needs more (`verdict.SURE`), for nothing confirms it."""
GONE_BARS, GONE_SHARE = 20.0, 1e-6
"""Beside a wrong op one step is enough: a leaf is spoilt when it disagrees by this many error bars
and by this share of its slope."""
FIRST_STEP = {True: 2.0**-9, False: 2.0**-5}
"""Step of the slopes that look for the entry, by whether the leaf is float64."""
MOST_FAULTS = 3
"""Wrong leaves of which the entry is looked for."""
SAMPLE = 12
"""Entries of the worst leaf that a diagnosis is made from."""


@dataclass
class LeafFault:
    """A leaf whose gradient disagrees end to end. analytic and numeric are at `index`.

    sampled: flat indices of the entries that were looked at, and their numeric gradient. drawn:
    where in the leaf the errors are.
    """

    name: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    relative: float
    missing: bool
    sampled: tuple[Array, Array] | None = None
    drawn: dict[str, Any] | None = None


@dataclass
class EndToEnd:
    """Verdicts on directions through leaves. names: the leaf of each direction. sizes: what an
    error of its slope is relative to. floor: an absolute error of a slope that is none. acquitted:
    leaves that a second look cleared. rough: leaves that were judged by fitted slopes, for the
    forward rounds."""

    names: list[str]
    outcome: Comparison
    replayed: bool
    sizes: Array
    floor: float = 0.0
    rough: set[str] = field(default_factory=set)
    faults: list[LeafFault] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    acquitted: list[str] = field(default_factory=list)

    @property
    def leaves(self) -> list[str]:
        return list(dict.fromkeys(self.names))


def make_forward(
    point: Point, replay: Replay | None, rng: np.random.Generator, precision: Precision
) -> Forward:
    """Replay where it was proven to follow the framework, the framework itself otherwise."""
    if replay is not None and precision.double and faithful(point, replay, rng):
        domain = Domain(point.subject) if point.subject.bounds else None
        return ReplayForward(replay, point.weights, domain)
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
    targets = [(n, signed(rng, values[n].shape)) for n in names for _ in range(directions)]
    targets = inside(point, targets, REACH)
    if not targets:
        return EndToEnd([], Comparison.empty(), False, np.zeros(0))
    along = Directions.through(point, targets)
    again = int(rng.integers(2**32))
    lines = DirectionLines(forward, values, targets, precision)
    rules = Rules(
        floor=along.floor(point, precision),
        exponents=precision.exponents_along[: None if settle else 1],
        pairs_first=2,
        small_votes=2,
        sure=FIRST,
    )
    outcome = compare(lines, along.slopes, along.steps, precision, rules, scale=along.norms)
    if settle:
        if (outcome.state == OPEN).any():
            certify(lines, outcome, along.steps, precision, may_fail=False)
    else:
        apart = np.abs(outcome.numeric - outcome.analytic)
        gone = (apart > GONE_BARS * outcome.error) & (apart > GONE_SHARE * along.norms)
        outcome.state[gone & (outcome.state == OPEN)] = WRONG
    found = EndToEnd(
        [n for n, _ in targets],
        outcome,
        isinstance(forward, ReplayForward),
        along.sizes(point, precision),
        rules.floor,
    )
    if settle:
        chosen = unseen(outcome, found.sizes)
        if chosen.size:
            rough = settle_rough(
                point, lines, along, outcome, found.sizes, chosen, rules.floor, rng
            )
            found.rough = {found.names[i] for i in rough}
    found.wrong = list(dict.fromkeys(found.names[i] for i in outcome.wrong))
    if settle:
        _look_closer(point, lines, along, found, again)
    return found


def _look_closer(
    point: Point, lines: DirectionLines, along: Directions, found: EndToEnd, again: int
) -> None:
    """Confirm the wrong leaves, the worst first, and look for their entries. In place.

    again: seed of the directions that confirm.
    """
    outcome = found.outcome
    severity = outcome.severity()
    for i in sorted(outcome.wrong, key=lambda i: (-severity[i], i)):
        name, _ = along.targets[int(i)]
        if any(f.name == name for f in found.faults) or len(found.faults) == MOST_FAULTS:
            continue
        rng = np.random.default_rng([again, found.leaves.index(name)])
        if name in found.rough:
            found.faults.append(_as_a_whole(point, lines, along, outcome, int(i)))
            continue
        if not _fails_again(point, lines, name, rng):
            outcome.state[i] = UNSURE
            found.wrong = [n for n in found.wrong if n != name]
            continue
        worst = not found.faults
        found.faults.append(_examine(point, lines.forward, along, outcome, int(i), worst=worst))


def _as_a_whole(
    point: Point, lines: DirectionLines, along: Directions, outcome: Comparison, i: int
) -> LeafFault:
    """The fault of a leaf behind a forward that rounds: of an entry, where one shows it."""
    name = along.targets[i][0]
    missing = point.analytic[name] is None or not np.any(point.gradient(name))
    found = wrong_entry(point, lines, name)
    if found is not None:
        index, analytic, numeric = found
        size = max(abs(analytic), abs(numeric))
        return LeafFault(name, index, analytic, numeric, abs(analytic - numeric) / size, missing)
    analytic, numeric = float(outcome.analytic[i]), float(outcome.numeric[i])
    size = max(float(along.norms[i]), abs(numeric), np.finfo(np.float64).tiny)
    relative = abs(analytic - numeric) / size
    return LeafFault(name, None, analytic, numeric, min(1.0, relative), missing)


def _fails_again(point: Point, lines: DirectionLines, name: str, rng: np.random.Generator) -> bool:
    """Whether a leaf fails along two more directions too.

    Where a direction runs through several kinks at once their bends may cancel, and the slope looks
    smooth and is not the analytic one. That does not happen three times; an error stays.
    """
    x, precision = lines.values[name], lines.precision
    targets = inside(point, [(name, signed(rng, x.shape)) for _ in range(2)], REACH)
    gradient = point.gradient(name)
    slopes = np.array([float(np.sum(gradient * d)) for _, d in targets])
    norms = np.array([float(np.sqrt(np.sum((gradient * d) ** 2))) for _, d in targets])
    steps = np.full(2, 2.0 ** np.round(np.log2(point.scales[name])))
    lines = DirectionLines(lines.forward, lines.values, targets, precision, level=lines.level)
    # An accusation, so that no blunter step clears it.
    rules = Rules(exponents=precision.exponents_along, pairs_first=2, small_votes=2, sure=AGAIN)
    outcome = compare(lines, slopes, steps, precision, rules, scale=norms)
    apart = np.abs(outcome.numeric - slopes)
    failed = (outcome.state == WRONG) | ((outcome.state != RIGHT) & (apart > AGAIN * outcome.error))
    return x.size == 1 or bool(failed.all())


def _examine(
    point: Point,
    forward: Forward,
    along: Directions,
    outcome: Comparison,
    i: int,
    *,
    worst: bool,
) -> LeafFault:
    """The wrong entry behind direction i; of the worst leaf also a sample of entries to diagnose
    from, and a picture."""
    name, direction = along.targets[i]
    x, gradient = point.values[name].astype(np.float64), point.gradient(name)
    h = along.steps[i] * FIRST_STEP[point.values[name].dtype == np.float64]
    total = float(outcome.numeric[i])
    index, analytic, numeric = bisect.find_entry(forward, name, x, gradient, direction, h, total)
    size = max(abs(analytic), abs(numeric))
    fault = LeafFault(
        name,
        index,
        analytic,
        numeric,
        relative=abs(analytic - numeric) / size if size else 0.0,
        missing=point.analytic[name] is None or not np.any(gradient),
    )
    if worst:
        fault.drawn = blocks.heatmap(forward, name, x, gradient, direction, h)
        chosen = np.linspace(0, x.size - 1, min(x.size, SAMPLE)).round().astype(np.int64)
        fault.sampled = chosen, bisect.entries(forward, name, x, chosen, h)
    return fault
