"""Central differences of order 2, 4 and 6, one-sided ones, their steps, and the rounding in them.

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

import math
from dataclasses import dataclass
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


# --- steps, and what rounding can fake ----------------------------------------------------------


@dataclass(frozen=True)
class Precision:
    """The arithmetic of a subject.

    data: unit roundoff of its values. gradients: of its gradients. Both are about 2.2e-16 in
    float64, 1.2e-7 in float32.
    """

    data: float = float(np.finfo(np.float64).eps)
    gradients: float = float(np.finfo(np.float64).eps)

    @classmethod
    def of(cls, data: str, gradients: str) -> Precision:
        return cls(float(np.finfo(data).eps), float(np.finfo(gradients).eps))

    @property
    def name(self) -> str:
        """The dtype that has so many digits."""
        eps = max(self.data, self.gradients)
        return next(n for n in ("float64", "float32", "float16") if eps <= np.finfo(n).eps)

    @property
    def double(self) -> bool:
        return max(self.data, self.gradients) < 1e-12

    @property
    def relative(self) -> float:
        """Relative difference below which a gradient counts as right.

        1e-9 in float64: two decades under the promise (1e-7), four over the rounding of the
        analytic value. In float32 two hundred roundings of the coarser side.
        """
        return max(1e-9, 200 * self.gradients, 200 * self.data)

    @property
    def exponents(self) -> tuple[int, ...]:
        """Steps 2**-k times the scale of the entry, largest first.

        The first ones serve smooth functions (truncation h^6, rounding eps/h); the small ones are
        for entries close to a kink or to a singularity.
        """
        return (7, 9, 11, 14, 18, 22, 26, 30, 33) if self.data < 1e-12 else (4, 6, 8, 10, 13)

    @property
    def exponents_along(self) -> tuple[int, ...]:
        """The same for a direction in which all entries move at once, so that the line bends the
        more. The second step is close to the first, for rounding must not blur it: they have to
        agree before a small error is believed.
        """
        return (9, 10, 12, 14, 18, 22, 26, 30, 33) if self.data < 1e-12 else self.exponents


def scale_of(array: Array) -> float:
    """Typical size of the entries of `array` that are not zero; 1 when there are none."""
    flat = np.asarray(array, dtype=np.float64).reshape(-1)
    with np.errstate(over="ignore"):
        squares = float(np.dot(flat, flat))
    if 1e-200 < squares < 1e200:  # neither overflow nor underflow, and nothing that is not finite
        return math.sqrt(squares / np.count_nonzero(flat))
    flat = np.abs(flat[np.isfinite(flat) & (flat != 0)])
    if not flat.size:
        return 1.0
    return float(np.sqrt(np.mean(np.square(flat / flat.max()))) * flat.max())


def measured_noise(values: Array) -> float:
    """Noise of a function from its values at equally spaced points so close that it is straight.

    values: (n,), n >= 5. The k-th differences of pure noise have variance C(2k, k) sigma^2
    (Hamming 1973; More and Wild 2011). The third serves here; the median, because a kink between
    the points corrupts three differences.
    """
    d = np.abs(np.diff(np.asarray(values, dtype=np.float64), 3))
    return float(np.median(d) / (0.6745 * np.sqrt(20.0))) if d.size else 0.0
