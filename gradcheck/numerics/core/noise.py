"""What rounding can fake, and how large a step should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradcheck.numerics.core.arrays import Array


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
