"""Where the values of a rebuilt tensor came from, so that a cut can be bridged."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from gradcheck.frameworks.protocol import Array

MOST_AXES = 5
"""Of a tensor whose axes are tried in every order: 120 orders."""


def positions(new: Array, old: Array) -> NDArray[np.intp] | None:
    """For each entry of `new`, flat, the place in the flat `old` that has its value.

    Finds reshapes and transposes; slices and gathers where the values of `old` are all different.
    None where `new` holds other values, as after exp(): those are no copy.
    """
    old = old.astype(new.dtype, copy=False)
    flat = new.reshape(-1)
    places = np.arange(old.size).reshape(old.shape)
    if new.size == old.size:
        for axes in itertools.permutations(range(old.ndim)) if old.ndim <= MOST_AXES else ():
            if np.array_equal(old.transpose(axes).reshape(-1), flat):
                return places.transpose(axes).reshape(-1)
    values, first = np.unique(old, return_index=True)
    if values.size != old.size or not values.size:
        return None
    near = np.minimum(np.searchsorted(values, flat), values.size - 1)
    return first[near] if np.array_equal(values[near], flat) else None
