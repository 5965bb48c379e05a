"""Measuring, from outside, whether a scalar depends on a leaf: perturb, run forward, compare.

Knows nothing of gradients. Everything runs in the widest dtype that the framework computes in.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject

SMALL = 1e-3
"""Perturbation, relative to the scale of a leaf, that measures a slope."""
LARGE = 1.0
"""Perturbation, relative to the scale of a leaf, that asks whether it matters at all."""
ROUNDINGS = 2.0**10
"""Changes of the loss below this many units of rounding are taken for rounding."""


class Probe:
    """A subject as a scalar function of its leaves.

    For an op, whose result is an array, the scalar is its product with a fixed random cotangent.
    """

    def __init__(self, subject: Subject, *, seed: int = 0) -> None:
        self.subject = subject
        self.rng = np.random.default_rng([subject.seed, seed, 7])
        self.cotangent: Array | None = None
        self.eps = subject.eps

    def scalar(self, array: Array) -> float:
        """The scalar of an output's values. The cotangent is drawn on first use."""
        if not self.subject.is_op:
            return float(array.reshape(-1)[0]) if array.size == 1 else float("nan")
        if self.cotangent is None or self.cotangent.shape != array.shape:
            self.cotangent = self.rng.standard_normal(array.shape)
        with np.errstate(all="ignore"):
            return float(np.sum(self.cotangent * array))

    def run(self) -> float:
        """One forward pass."""
        return self.scalar(self.subject.value(self.subject.forward()))

    def noise(self, value: float) -> float:
        """What rounding alone may change in a scalar of this size."""
        return ROUNDINGS * self.eps * max(abs(value), 1e-3)

    def direction(self, name: str) -> Array:
        """A signed random direction, scaled like the leaf's own entries (1 where it is zero)."""
        array = self.subject.get(name)
        scale = float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0
        if not np.isfinite(scale) or scale < 1e-6:
            scale = 1.0
        return scale * self.rng.standard_normal(array.shape)

    def slope(self, names: Iterable[str], step: float = SMALL) -> tuple[float, float]:
        """(derivative along one random direction of all `names` together, what rounding can
        fake). Two forward passes; the leaves are as before afterwards."""
        return self.slope_along({n: self.direction(n) for n in names}, step)

    def slope_along(self, directions: dict[str, Array], step: float = SMALL) -> tuple[float, float]:
        """The same along given directions."""
        before = {n: self.subject.get(n) for n in directions}
        values = []
        try:
            for sign in (1.0, -1.0):
                for name, along in directions.items():
                    self.subject.set(name, before[name] + sign * step * along)
                values.append(self.run())
        finally:
            for name, array in before.items():
                self.subject.set(name, array)
        up, down = values
        return (up - down) / (2 * step), self.noise(max(abs(up), abs(down))) / (2 * step)

    def matters(self, name: str, base: float) -> bool:
        """Whether a large change of the leaf changes the scalar at all (one or two passes)."""
        before = self.subject.get(name)
        try:
            for sign in (1.0, -1.0):
                self.subject.set(name, before + sign * LARGE * self.direction(name))
                value = self.run()
                if not np.isfinite(value) or abs(value - base) > self.noise(base):
                    return True
        finally:
            self.subject.set(name, before)
        return False


def finite(array: Array) -> bool:
    """Whether every entry is finite, by one pass over the array in the common case."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.sum(array)) or np.all(np.isfinite(array)))


def norm(array: Array) -> float:
    """Euclidean norm; overflow gives inf quietly."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))
