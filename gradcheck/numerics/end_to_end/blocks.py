"""Where in a leaf the errors are, though only the whole forward can be evaluated.

One slope for each block of entries, along the direction that failed, seen from a few hundred
evaluations: every entry is in some block, so none is left out as by a sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import slope
from gradcheck.numerics.end_to_end.directions import ROOM, Forward, ReplayForward

MOST, FEWEST = 256, 16
"""Blocks of a leaf; with 16 it costs about what finding the worst entry costs."""

WORK = 1.5e7
"""Numbers that all slopes together may compute, while that leaves more than `FEWEST` blocks."""

SMALL = 1e-6
"""Relative to less than this share of the largest slope an error says nothing."""

COPIES = 64
"""Copies of the leaf evaluated at once."""

OFFSETS = np.array([1.0, -1.0, 2.0, -2.0])


def blocks_for(forward: Forward) -> int:
    """How many blocks a leaf may be cut into, by what an evaluation costs."""
    if not isinstance(forward, ReplayForward):
        return FEWEST  # every evaluation is a forward of the framework itself
    each = sum(int(np.prod(shape)) for shape in forward.replay.shapes)
    return int(np.clip(WORK / (len(OFFSETS) * max(each, 1)), FEWEST, MOST))


def grid(shape: tuple[int, ...], most: int) -> tuple[Array, int, int]:
    """The block of each entry, shaped like the leaf seen as (rows, columns), and the numbers of
    blocks down and across. Blocks are as near to square as their number allows."""
    columns = shape[-1] if shape else 1
    rows = int(np.prod(shape[:-1])) if shape else 1
    down, across = min(rows, most), min(columns, most)
    while down * across > most:
        if down > across:
            down = -(-down // 2)
        else:
            across = -(-across // 2)
    tall, wide = -(-rows // down), -(-columns // across)
    down, across = -(-rows // tall), -(-columns // wide)
    block = (np.arange(rows) // tall)[:, None] * across + (np.arange(columns) // wide)
    return block, down, across


def heatmap(
    forward: Forward, name: str, x: Array, gradient: Array, direction: Array, h: float
) -> dict[str, Any]:
    """The relative error of the slope along `direction` within each block of the leaf.

    gradient, direction: shaped like x. h: the step of the fourth-order slope.
    """
    block, down, across = grid(x.shape, blocks_for(forward))
    block = block.reshape(x.shape)
    count = down * across
    both = gradient * direction
    analytic = np.bincount(block.reshape(-1), both.reshape(-1), minlength=count)
    norm = np.sqrt(np.bincount(block.reshape(-1), both.reshape(-1) ** 2, minlength=count))
    numeric = np.empty(count)
    room = ROOM // max(x.size, forward.largest, 1)
    together = max(1, min(COPIES, room) // len(OFFSETS))
    for first in range(0, count, together):
        some = np.arange(first, min(first + together, count))
        parts = np.where(block == some.reshape(-1, *(1,) * x.ndim), direction, 0.0)
        numeric[some] = slopes(forward, name, x, parts, h)
    with np.errstate(all="ignore"):
        size = np.fmax(np.fmax(np.abs(analytic), np.abs(numeric)), norm)
        floor = SMALL * float(np.max(size[np.isfinite(size)], initial=0.0))
        relative = np.abs(analytic - numeric) / np.fmax(size, floor)
    relative[(analytic == 0) & (numeric == 0)] = 0.0
    relative = np.nan_to_num(relative, nan=np.inf, posinf=np.inf)
    return {
        "shape": list(x.shape),
        "relative_error": relative.reshape(down, across).tolist(),
        "blocks": True,
    }


def slopes(forward: Forward, name: str, x: Array, directions: Array, h: float) -> Array:
    """Fourth-order slopes along directions (K, *shape of x): (K,)."""
    steps = (OFFSETS * h).reshape(-1, 1, *(1,) * x.ndim)
    points = (x + steps * directions).reshape(-1, *x.shape)
    v = forward([(name, points)]).reshape(len(OFFSETS), len(directions))
    return slope([v[0] - v[1], v[2] - v[3]], np.full(len(directions), h))
