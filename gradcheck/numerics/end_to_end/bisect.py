"""From a failing direction to the entry: halve the entries, keep the half that disagrees more.

Slopes add: the numeric slope along the left half, taken from that along the whole, gives the right
half. So one estimate a halving is enough, 15 for 30,000 entries.
"""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.arrays import index_at
from gradcheck.numerics.core.differences import slope
from gradcheck.numerics.end_to_end.directions import Forward


def numeric_slope(forward: Forward, name: str, x: Array, direction: Array, h: float) -> float:
    """Fourth-order slope along `direction`."""
    ks = np.array([1.0, -1.0, 2.0, -2.0]).reshape(-1, *(1,) * x.ndim)
    v = forward([(name, x + ks * h * direction)])
    return float(slope([v[:1] - v[1:2], v[2:3] - v[3:4]], np.array([h]))[0])


def find_entry(
    forward: Forward, name: str, x: Array, gradient: Array, direction: Array, h: float, total: float
) -> tuple[tuple[int, ...], float, float]:
    """(index, analytic, numeric) of an entry whose gradient disagrees.

    total: the numeric slope along the whole direction. gradient, direction: shaped like x.
    """
    chosen = np.arange(x.size)
    flat_g, flat_d = gradient.reshape(-1), direction.reshape(-1)
    numeric = total
    while chosen.size > 1:
        left, right = chosen[: chosen.size // 2], chosen[chosen.size // 2 :]
        part = np.zeros(x.size)
        part[left] = flat_d[left]
        left_numeric = numeric_slope(forward, name, x, part.reshape(x.shape), h)
        left_gap = abs(left_numeric - float(flat_g[left] @ flat_d[left]))
        right_gap = abs((numeric - left_numeric) - float(flat_g[right] @ flat_d[right]))
        if left_gap >= right_gap:
            chosen, numeric = left, left_numeric
        else:
            chosen, numeric = right, numeric - left_numeric
    i = int(chosen[0])
    index = index_at(i, x.shape)
    one = np.zeros(x.size)
    one[i] = 1.0
    exact = numeric_slope(forward, name, x, one.reshape(x.shape), h)
    return index, float(flat_g[i]), exact


def entries(forward: Forward, name: str, x: Array, indices: Array, h: float) -> Array:
    """Numeric gradient of a few entries (flat indices): (n,)."""
    out = np.empty(len(indices))
    for column, i in enumerate(indices):
        one = np.zeros(x.size)
        one[int(i)] = 1.0
        out[column] = numeric_slope(forward, name, x, one.reshape(x.shape), h)
    return out
