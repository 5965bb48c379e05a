"""Kinks of several pieces: the gradients at nearby points, where the function is smooth.

Where three or more entries tie (a sort, a median, the k largest), an entry's generalised gradient
need not lie between its own left and right derivative: it is any value between those that the
gradient takes near the point (Clarke 1983, theorem 2.5.1). So before an entry at such a point is
called wrong, the neighbourhood is asked.
"""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.noise import scale_of
from gradcheck.numerics.core.verdict import KINK
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.local import InputVerdict

AWAY = 2.0**-20
"""How far away the nearby points are, as a share of the typical entry."""
STEP = 2.0**-10
"""The step of the differences there, as a share of that distance."""
POINTS = 24
MOST = 64
"""More wrong entries than this do not come from ties."""
BENT = 1e-3
"""The nearby gradients must vary by this share of themselves, or there is no kink to speak of."""
MARGIN = 1e-3
"""And the analytic value may lie outside them by this share of their spread: the error of the
differences."""


def excuse(
    verdict: InputVerdict, op: BatchedOp, cotangent: Array, rng: np.random.Generator
) -> None:
    """Turn wrong entries into kinks where nearby gradients lie on both sides of theirs."""
    outcome = verdict.outcome
    entries = outcome.wrong
    if not verdict.exhaustive or not 0 < entries.size <= MOST:
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
