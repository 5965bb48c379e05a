"""Elementwise formulas of several steps, a cache-sized piece at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PIECE = 32 * 1024
"""Entries in a piece: with a few temporaries it stays within a core's second-level cache."""


def piecewise(formula: Callable[..., Array], *arrays: Array) -> Array:
    """formula(*arrays), an elementwise function of arrays of one shape.

    The temporaries of the formula are pieces, so a large array passes through main memory once
    instead of once for every step.
    """
    n = arrays[0].size
    if not arrays[0].ndim:  # numpy would go on with scalars, which cannot be written to
        return formula(*(a.reshape(1) for a in arrays)).reshape(())
    if n <= PIECE:
        return formula(*arrays)
    flat = [a.reshape(-1) for a in arrays]
    first = formula(*(a[:PIECE] for a in flat))
    out = np.empty(n, first.dtype)
    out[:PIECE] = first
    for i in range(PIECE, n, PIECE):
        out[i : i + PIECE] = formula(*(a[i : i + PIECE] for a in flat))
    return out.reshape(arrays[0].shape)
