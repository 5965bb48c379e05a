"""Leaves behind a forward that rounds: judged by the slope of its stairs."""

from __future__ import annotations

import numpy as np

from gradcheck.numerics.core.arrays import Array, index_at, signed
from gradcheck.numerics.core.resolution import SURE, fitted, settle
from gradcheck.numerics.core.verdict import UNSURE, WRONG, Comparison
from gradcheck.numerics.end_to_end.directions import DirectionLines, Directions, inside
from gradcheck.numerics.end_to_end.point import Point

EPS = float(np.finfo(np.float64).eps)
WIDEST = 1.0
"""The half width of the widest window, as a share of a leaf's scale, rounded up."""
SMALL = 1e-3
"""Errors of an entry are relative to itself, or to this share of the largest entry."""
MOST_ENTRIES = 24
"""Entries of a wrong leaf that are fitted one by one, to find one to show."""


def along_targets(
    point: Point, lines: DirectionLines, targets: list[tuple[str, Array]]
) -> DirectionLines:
    """Lines whose noise is that of float64, below which nothing is rough."""
    level = EPS * float(np.sum(np.abs(point.weights * point.value)))
    return DirectionLines(lines.forward, lines.values, targets, lines.precision, level=level)


def settle_rough(
    point: Point,
    lines: DirectionLines,
    along: Directions,
    outcome: Comparison,
    size: Array,
    chosen: Array,
    floor: float,
    rng: np.random.Generator,
) -> Array:
    """Look again at the `chosen` directions (wrong, undecided, or right with too much room). Where
    the function is rough there, the verdict is that of fitted slopes; in place. Returns which.

    size: (n,) what an error of a slope is relative to. floor: an absolute error that is none.

    The new directions move every entry in proportion to itself, and no less than the typical one:
    floating-point numbers are rounded so. A wrong one must be wrong along two of them.

    An op whose gradient is zero is left alone: `floor` of a thousand has the stairs of a bfloat16,
    and it is meant to be flat. A model's leaf is not: there the graph may be cut behind a cast.
    """
    if point.subject.is_op:
        chosen = chosen[outcome.analytic[chosen] != 0]
    judged = np.zeros(0, dtype=np.int64)
    for number in range(2):
        if not chosen.size:
            break
        targets = []
        for i in chosen:
            name = along.targets[i][0]
            x = lines.values[name]
            own = np.where(np.isfinite(x), np.abs(x), 0.0)
            away = np.exp2(np.round(np.log2(np.maximum(own / along.steps[i], 1.0))))
            targets.append((name, away * signed(rng, x.shape)))
        targets = inside(point, targets, WIDEST)
        other = Directions.through(point, targets)
        with np.errstate(all="ignore"):
            share = other.norms / along.norms[chosen]
            share = np.where(np.isfinite(share) & (share > 0), share, 1.0)
        again = Comparison(
            analytic=other.slopes,
            numeric=other.slopes + (outcome.numeric - outcome.analytic)[chosen] * share,
            error=outcome.error[chosen] * share,
            limit=outcome.limit[chosen] * share,
            state=outcome.state[chosen].copy(),
            scale=other.norms,
            step=outcome.step[chosen],
        )
        fits = along_targets(point, lines, targets)
        wanted = size[chosen] * share
        every = np.arange(len(chosen))
        rough = settle(fits, again, other.steps, wanted, every, floor * share)
        places = chosen[rough]
        before = outcome.state[places]
        outcome.limit[places] = again.limit[rough] / share[rough]
        outcome.error[places] = again.error[rough] / share[rough]
        apart = (again.numeric - again.analytic)[rough] / share[rough]
        outcome.numeric[places] = outcome.analytic[places] + apart
        outcome.state[places] = again.state[rough]
        if number:  # what the second direction does not confirm is not wrong
            outcome.state[places[before != outcome.state[places]]] = UNSURE
        judged = np.union1d(judged, places).astype(np.int64)
        chosen = places[outcome.state[places] == WRONG]
    return judged


def wrong_entry(
    point: Point, lines: DirectionLines, name: str
) -> tuple[tuple[int, ...], float, float] | None:
    """(index, analytic, fitted) of the entry that disagrees most among the larger ones and some
    between them; None where none does by itself."""
    x, gradient = lines.values[name], point.gradient(name).reshape(-1)
    spaced = np.linspace(0, x.size - 1, min(x.size, MOST_ENTRIES // 2)).round().astype(np.int64)
    largest = np.argsort(-np.abs(gradient), kind="stable")[: MOST_ENTRIES // 2]
    entries = np.unique(np.concatenate([spaced, largest]))
    targets = []
    for entry in entries:
        unit = np.zeros(x.size)
        unit[entry] = 1.0
        targets.append((name, unit.reshape(x.shape)))
    step = point.scales[name]
    own = np.maximum(np.abs(x.reshape(-1)[entries]), step)
    size = np.maximum(np.abs(gradient), SMALL * float(np.max(np.abs(gradient))))[entries]
    fits = along_targets(point, lines, targets)
    found = fitted(fits, gradient[entries], own, size, np.arange(len(entries)))
    gap = np.abs(found.slope - gradient[entries])
    with np.errstate(all="ignore"):
        gap = np.where((found.against_it >= 2) & (gap > SURE * found.bar), gap, 0.0)
    if not gap.any():
        return None
    worst = int(np.argmax(gap))
    entry = int(entries[worst])
    return index_at(entry, x.shape), float(gradient[entry]), float(found.slope[worst])
