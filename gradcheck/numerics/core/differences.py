"""Central differences of order 2, 4 and 6, and one-sided ones.

Everything that is checked is brought to the same form: *lines*, that is n scalar functions of one
variable, phi_i(t) - phi_i(0) along some direction with some step, and n analytic slopes phi_i'(0).
An entry of a tensor, a random direction through a tensor, half of a direction: all are lines.

With T = (phi(kh) - phi(-kh)) for k = 1, 2, 3 the slope is

    order 2   T1 / 2h                                   error ~ h^2 phi'''
    order 4   (2/3 T1 - 1/12 T2) / h                    error ~ h^4 phi^(5)
    order 6   (3/4 T1 - 3/20 T2 + 1/60 T3) / h          error ~ h^6 phi^(7)

(Fornberg 1988). The difference between two orders measures the truncation; the sixth even
difference phi(3h) - 6 phi(2h) + 15 phi(h) - 20 phi(0) + ..., which for small h holds nothing
but rounding, measures the noise. Richardson's extrapolation of T1 to steps h and 2h is the
order 4 above.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gradcheck.numerics.core.arrays import Array

SLOPE = {1: (1 / 2,), 2: (2 / 3, -1 / 12), 3: (3 / 4, -3 / 20, 1 / 60)}
"""Weights of T1, T2, T3 by how many of them are known: orders 2, 4 and 6."""

EVEN_NORM = float(np.sqrt(2 * (1 + 36 + 225) + 400))
"""Standard deviation of the sixth difference of unit noise."""


class Lines(Protocol):
    """n scalar functions of one variable."""

    @property
    def size(self) -> int: ...
    @property
    def evaluations(self) -> int:
        """How many runs of the op or the forward were spent so far."""

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        """phi_i(k * h_i) - phi_i(0) for every offset k and every line i in `active`.

        h: (n,) float64. active: (m,) int64. Returns (len(offsets), m); NaN where undefined.
        """

    def noise(self) -> Array:
        """(n,): size of the rounding error in one value of phi_i."""


def slope(pairs: list[Array], h: Array) -> Array:
    """The derivative from T1, T2, ... (each (m,)) with steps h (m,)."""
    weights = SLOPE[len(pairs)]
    total = weights[0] * pairs[0]
    for weight, pair in zip(weights[1:], pairs[1:]):
        total = total + weight * pair
    return total / h


def sixth_difference(sums: list[Array]) -> Array:
    """Size of the noise in phi, from phi(kh) + phi(-kh) - 2 phi(0) for k = 1, 2, 3."""
    return np.abs(15 * sums[0] - 6 * sums[1] + sums[2]) / EVEN_NORM


def one_sided(first: Array, second: Array, h: Array) -> Array:
    """Derivative to one side from phi(h) - phi(0) and phi(2h) - phi(0); h < 0 for the left side."""
    return (4 * first - second) / (2 * h)
