"""Figures of a wrong gradient for the report: where it is wrong, and the error by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.verdict import Comparison
from gradcheck.numerics.end_to_end import blocks
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.local import FIRST_STEP, InputVerdict, OneOp, OpLines

STEPS = np.logspace(-1, -9, 17)


def heatmap(outcome: Comparison, value: Array) -> dict[str, Any]:
    """At most 64 x 64 numbers: the largest relative error in each cell of a leaf."""
    larger = np.maximum(np.abs(outcome.analytic), np.abs(outcome.numeric))
    floor = blocks.SMALL * float(np.max(outcome.scale, initial=0.0))
    with np.errstate(all="ignore"):
        size = np.fmax(larger, floor)
        relative = np.nan_to_num(np.abs(outcome.analytic - outcome.numeric) / size)
    columns = value.shape[-1] if value.ndim else 1
    grid = relative.reshape(-1, columns)
    for axis in (0, 1):
        n = grid.shape[axis]
        if n > 64:
            grid = np.maximum.reduceat(grid, np.arange(0, n, -(-n // 64)), axis=axis)
    return {"shape": list(value.shape), "relative_error": grid.tolist()}


def of_wrong_op(
    op: BatchedOp, verdict: InputVerdict, part: Array | None, index: Any, cotangent: Array
) -> dict[str, Any]:
    """Heat map of the input's errors, and the error of its worst entry against the step.

    part: what the pullback gave for the input. Where only directions were run, the map is of
    blocks of entries.
    """
    if index is None:
        return {}
    x = np.asarray(op.inputs[verdict.slot], dtype=np.float64)
    gradient = np.zeros(x.shape) if part is None else np.asarray(part, dtype=np.float64)
    if verdict.exhaustive:
        drawn = heatmap(verdict.outcome, x)
    else:
        assert not isinstance(verdict.lines, OpLines)
        i = int(verdict.outcome.wrong[0])
        direction = verdict.lines.directions[i].reshape(x.shape)
        forward = OneOp(op, verdict.slot, cotangent)
        h = float(verdict.h0[i]) * FIRST_STEP
        drawn = blocks.heatmap(forward, "", x, gradient, direction, h)
    name = f"{verdict.call.name}({verdict.input_name})"
    return {
        "heatmap": {name: drawn},
        "error_vs_step": error_against_step(
            op, verdict.slot, index, float(gradient[index]), cotangent
        ),
    }


def error_against_step(
    op: BatchedOp, slot: int, index: tuple[int, ...], analytic: float, cotangent: Array
) -> dict[str, list[float]]:
    """|central difference - analytic| / larger of the two, for steps from 0.1 to 1e-9 of the size
    of the entry (at least 1). A right gradient makes a V: truncation, then rounding; a wrong one a
    plateau.
    """
    x = np.asarray(op.inputs[slot], dtype=np.float64)
    h = STEPS * max(1.0, abs(float(x[index])))
    both = np.repeat(x[None], 2 * h.size, axis=0)  # (2 steps, *shape)
    both.reshape(2 * h.size, -1)[:, np.ravel_multi_index(index, x.shape)] += np.append(h, -h)
    with np.errstate(all="ignore"):
        values = op.run_many(slot, both).reshape(2 * h.size, -1) @ cotangent.reshape(-1)
        numeric = (values[: h.size] - values[h.size :]) / (2 * h)
        error = np.abs(numeric - analytic) / np.maximum(np.abs(numeric), abs(analytic))
    kept = np.isfinite(error)
    return {"h": h[kept].tolist(), "error": error[kept].tolist()}
