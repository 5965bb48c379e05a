"""Arrays: their type, random ones, and where in them something is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def signed(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Random signs, sizes between 0.5 and 2: no entry can hide, and some are above 1."""
    drawn = rng.uniform(-1.5, 1.5, shape)
    return np.asarray(drawn + np.copysign(0.5, drawn))


def index_at(flat: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of the entry at this place in flat order."""
    return tuple(int(i) for i in np.unravel_index(int(flat), tuple(shape)))


def first_true(mask: Array) -> tuple[int, ...]:
    """The index of the first entry that is true."""
    return index_at(np.argmax(mask), mask.shape)


def float64(value: Any) -> Any:
    """Floating arrays as float64, everything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != np.float64:
        return value.astype(np.float64)
    return value
