"""Move entries at a kink together, to show what no single entry can.

Each of two tied entries of a maximum may have any gradient between 0 and 1, so each alone is
certified even when both get 1. Moved up together, they move the maximum by the same amount, and the
gradients along that direction must say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.differences import scale_of
from gradcheck.probe.domain import Bounds

STEP = 2.0**-20
"""How far the entries are moved, as a share of the typical entry."""
MARGIN = 1e-5
"""By how much of the cotangent the slope may lie outside: rounding over a step of 1e-6."""
BENDS = 8.0
"""And by how many times the change of the slope from one step to twice that step."""


def together(
    call: OpCall,
    inputs: Sequence[Any],
    base: Array,
    cotangent: Array,
    parts: Sequence[Array | None],
    kinks: Mapping[int, Array],
    bounds: Mapping[int, Bounds],
) -> tuple[float, float, float] | None:
    """(analytic, low, high) along the direction that moves all kinked entries up alike, and
    what equals them, when the analytic slope lies outside; else None.

    kinks: input slot -> mask of entries that were certified at a kink. bounds: by input its domain.
    """
    kinks = {s: _with_equals(np.asarray(inputs[s]), mask) for s, mask in kinks.items()}
    step = STEP * max(scale_of(np.asarray(inputs[s])) for s in kinks)
    moved = []
    for sign in (1.0, -1.0, 2.0, -2.0):
        values = list(inputs)
        for slot, mask in kinks.items():
            values[slot] = values[slot] + sign * step * mask.reshape(values[slot].shape)
        if any(b.outside(values[s], np.asarray(inputs[s])).any() for s, b in bounds.items()):
            return None
        try:
            with np.errstate(all="ignore"):
                moved.append(np.asarray(call.run(values)))
        except Exception:  # a probe of ours: the other side of the kink is outside the domain
            return None
    if any(m.shape != base.shape or not np.isfinite(m).all() for m in moved):
        return None
    right, left = (moved[0] - base) / step, (base - moved[1]) / step
    bend = np.abs((moved[2] - base) / (2 * step) - right).sum()
    bend += np.abs((base - moved[3]) / (2 * step) - left).sum()
    low = float(np.sum(np.minimum(cotangent * right, cotangent * left)))
    high = float(np.sum(np.maximum(cotangent * right, cotangent * left)))
    analytic = 0.0
    for slot, mask in kinks.items():
        part = parts[slot]
        if part is not None:
            analytic += float(np.sum(part.reshape(-1)[mask.reshape(-1)]))
    size = float(np.sum(np.abs(cotangent))) + abs(analytic)
    margin = MARGIN * size + BENDS * float(bend) * float(np.max(np.abs(cotangent)))
    if low - margin <= analytic <= high + margin:
        return None
    return analytic, low, high


def _with_equals(x: Array, kinked: Array) -> Array:
    """The mask with the entries of the same values: of a median only one shows its kink, and only
    all that tie with it move it."""
    mask = kinked.reshape(x.shape)
    return np.asarray(np.isin(x, x[mask]))
