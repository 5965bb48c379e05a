"""Kinks of several pieces: the gradients at nearby points, where the function is smooth.

Where three or more entries tie (a sort, a median, the k largest), an entry's generalised gradient
need not lie between its own left and right derivative: it is any value between those that the
gradient takes near the point (Clarke 1983, theorem 2.5.1). So before an entry at such a point is
called wrong, the neighbourhood is asked: first whether the gradients of *all* accused entries
together are those at some nearby point (a tie broken in one way), then entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import scale_of
from gradcheck.numerics.core.verdict import KINK
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.local import InputVerdict

AWAY = 2.0**-20
"""How far away the nearby points are, as a share of the typical entry."""
STEP = 2.0**-10
"""The step of the differences there, as a share of that distance."""
POINTS = 24
MOST = 64
"""More wrong entries than this are not looked at one by one."""
PROBES = 3
"""Random directions along which two gradients must agree to be taken for the same."""
SAME = 1e-5
"""They agree up to this, relative to their size: the nearby points are 2**-20 away."""
MOST_PAIRS = 1 << 22
"""Outputs times entries above which it is not asked which output shows which entry."""
BENT = 1e-3
"""The nearby gradients must vary by this share of themselves, or there is no real kink."""
MARGIN = 1e-3
"""And the analytic value may lie outside them by this share of their spread: the error of the
differences."""


def excuse(
    verdict: InputVerdict, op: BatchedOp, cotangent: Array, rng: np.random.Generator
) -> None:
    """Turn wrong entries into kinks where nearby gradients lie on both sides of theirs."""
    outcome = verdict.outcome
    entries = outcome.wrong
    if not verdict.exhaustive or not entries.size:
        return
    # A small error beside a tie is not the tie's: it stays accused.
    tied = entries[outcome.relative()[entries] > BENT]
    if tied.size and _one_of_the_pieces(verdict, op, tied, cotangent, rng):
        outcome.state[tied] = KINK
        outcome.numeric[tied] = outcome.analytic[tied]
        return
    if entries.size > MOST:
        return
    x = op.inputs[verdict.slot]
    low, high = np.full(entries.size, np.inf), np.full(entries.size, -np.inf)
    size = AWAY * scale_of(x)
    order = np.linspace(-1.0, 1.0, x.size).reshape(x.shape)  # ties broken by position
    for number in range(POINTS):
        away = (order, -order)[number] if number < 2 else rng.uniform(-1.0, 1.0, x.shape)
        slopes = _slopes(op, verdict.slot, x + size * away, entries, size * STEP, cotangent)
        if not np.isfinite(slopes).all():
            return
        low, high = np.minimum(low, slopes), np.maximum(high, slopes)
    spread = high - low
    bent = spread > BENT * np.maximum(np.abs(low), np.abs(high))
    analytic = outcome.analytic[entries]
    within = (analytic >= low - MARGIN * spread) & (analytic <= high + MARGIN * spread)
    excused = bent & within
    outcome.state[entries[excused]] = KINK
    outcome.numeric[entries[excused]] = analytic[excused]


def _one_of_the_pieces(
    verdict: InputVerdict,
    op: BatchedOp,
    entries: Array,
    cotangent: Array,
    rng: np.random.Generator,
) -> bool:
    """Whether the analytic gradient of the accused `entries` is the gradient at a nearby point,
    while other nearby points have another one.

    Ties are broken as `_tie_breaks` says. Slopes along random directions through the accused
    entries are compared, so that a thousand entries cost as much as one.
    """
    outcome, x = verdict.outcome, op.inputs[verdict.slot]
    analytic = outcome.analytic[entries]
    size = AWAY * scale_of(x)
    signs = rng.choice((-1.0, 1.0), (PROBES, entries.size)) * rng.uniform(0.5, 1.5, entries.size)
    if op.base.size == 1 and _evenly(x.reshape(-1)[entries], analytic):
        # The mean of all pieces, as a median gives it: known by what all entries do together.
        signs = np.ones((1, entries.size))
    wanted = signs @ analytic
    unit = np.sqrt(np.square(signs) @ np.square(analytic)) + np.finfo(np.float64).tiny
    bent = np.concatenate([signs, rng.choice((-1.0, 1.0), (PROBES, entries.size))])
    low, high = np.full(len(bent), np.inf), np.full(len(bent), -np.inf)
    matched = False
    whole = outcome.analytic.reshape(x.shape)
    for away in _tie_breaks(op, verdict.slot, x, whole, cotangent, rng):
        slopes = _along(op, verdict.slot, x + size * away, entries, bent, size, cotangent)
        if not np.isfinite(slopes).all():
            continue
        low, high = np.minimum(low, slopes), np.maximum(high, slopes)
        matched |= bool((np.abs(slopes[: len(signs)] - wanted) <= SAME * unit).all())
        if matched and ((high - low) > BENT * float(unit.min())).any():
            return True
    return False


def _evenly(values: Array, gradient: Array) -> bool:
    """Whether entries of one value share their gradient alike."""
    return bool(np.ptp(values) == 0 and np.ptp(gradient) <= 1e-12 * abs(float(gradient[0])))


def _tie_breaks(
    op: BatchedOp, slot: int, x: Array, analytic: Array, cotangent: Array, rng: np.random.Generator
) -> Iterator[Array]:
    """Directions that break ties: by position, as the analytic gradient says, and at random."""
    order = np.linspace(-1.0, 1.0, x.size).reshape(x.shape)
    yield order
    yield -order
    chosen = _as_chosen(op, slot, x, order, analytic, cotangent)
    if chosen is not None:
        yield chosen
    for _ in range(4):
        yield rng.uniform(-1.0, 1.0, x.shape)


def _as_chosen(
    op: BatchedOp, slot: int, x: Array, order: Array, analytic: Array, cotangent: Array
) -> Array | None:
    """The order of the entries under which an op that selects (sort, median, top k) selects those
    that have the gradient: `order`, with entries exchanged. None for any other op.

    With ties broken by `order` all values differ, so that each output shows which entry it is; the
    entry whose gradient is the cotangent of that output takes its place.
    """
    if op.base.size * x.size > MOST_PAIRS:
        return None
    moved = (x + AWAY * scale_of(x) * order).reshape(-1)
    outputs = op.run_one(slot, moved.reshape(x.shape)).reshape(-1)
    weights = cotangent.reshape(-1)
    place = order.reshape(-1).copy()
    gradient = analytic.reshape(-1)
    free = gradient != 0
    for value, weight in zip(outputs, weights):
        shown = np.flatnonzero(moved == value)
        owner = np.flatnonzero(free & (np.abs(gradient - weight) <= SAME * abs(weight)))
        if shown.size != 1 or not owner.size:
            return None
        free[owner[0]] = False
        wanted = order.reshape(-1)[shown[0]]
        holder = int(np.flatnonzero(place == wanted)[0])
        place[holder], place[owner[0]] = place[owner[0]], wanted
    return place.reshape(x.shape)


def _along(
    op: BatchedOp,
    slot: int,
    x: Array,
    entries: Array,
    signs: Array,
    size: float,
    cotangent: Array,
) -> Array:
    """Central differences of sum(cotangent * op) at x along `signs` (probes, entries)."""
    step = size * STEP
    directions = np.zeros((len(signs), x.size))
    directions[:, entries] = signs
    stack = np.concatenate([x.reshape(-1) + step * directions, x.reshape(-1) - step * directions])
    with np.errstate(all="ignore"):
        results = op.run_many(slot, stack.reshape(-1, *x.shape)).reshape(len(stack), -1)
        up, down = results[: len(signs)], results[len(signs) :]
        return np.asarray(((up - down) @ cotangent.reshape(-1)) / (2 * step))


def _slopes(
    op: BatchedOp, slot: int, x: Array, entries: Array, step: float, cotangent: Array
) -> Array:
    """Central differences of sum(cotangent * op) at x, one for each entry."""
    stack = np.repeat(x.reshape(1, -1), 2 * entries.size, axis=0)
    rows = np.arange(entries.size)
    stack[rows, entries] += step
    stack[rows + entries.size, entries] -= step
    with np.errstate(all="ignore"):
        results = op.run_many(slot, stack.reshape(-1, *x.shape)).reshape(len(stack), -1)
        up, down = results[: entries.size], results[entries.size :]
        return np.asarray(((up - down) @ cotangent.reshape(-1)) / (2 * step))
