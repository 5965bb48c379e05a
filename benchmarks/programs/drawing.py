"""What a program is, and the arrays that it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


class Draw:
    """Arrays of one seed. Shapes are written as arguments: `d.normal(3, 4)`."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 97])

    def normal(self, *shape: int) -> Array:
        return np.asarray(self.rng.standard_normal(shape))

    def positive(self, *shape: int) -> Array:
        """From 0.2 to 3."""
        return np.asarray(self.rng.uniform(0.2, 3.0, shape))

    def unit(self, *shape: int) -> Array:
        """From 0.05 to 0.95."""
        return np.asarray(self.rng.uniform(0.05, 0.95, shape))

    def inside(self, *shape: int) -> Array:
        """From -0.9 to 0.9."""
        return np.asarray(self.rng.uniform(-0.9, 0.9, shape))

    def above_one(self, *shape: int) -> Array:
        return np.asarray(self.rng.uniform(1.1, 4.0, shape))

    def large(self, *shape: int) -> Array:
        """Around 30: exponentials span many orders of magnitude."""
        return 30.0 * self.normal(*shape)

    def tiny(self, *shape: int) -> Array:
        return 1e-6 * self.normal(*shape)

    def rounded(self, *shape: int) -> Array:
        """Many equal entries."""
        return np.round(2 * self.normal(*shape)) / 2

    def constant(self, *shape: int) -> Array:
        return np.full(shape, float(self.rng.standard_normal()))

    def zeros(self, *shape: int) -> Array:
        return np.zeros(shape)

    def ids(self, high: int, *shape: int) -> Array:
        return np.asarray(self.rng.integers(0, high, shape))

    def mask(self, *shape: int) -> Array:
        return np.asarray(self.rng.random(shape) < 0.6)

    def simplex(self, *shape: int) -> Array:
        """Rows that sum to 1."""
        x = self.rng.uniform(0.2, 1.0, shape)
        return np.asarray(x / x.sum(-1, keepdims=True))

    def square(self, n: int, *batch: int) -> Array:
        """Well conditioned matrices."""
        return self.normal(*batch, n, n) + 2 * n * np.eye(n)

    def spd(self, n: int, *batch: int) -> Array:
        """Symmetric positive definite matrices."""
        a = self.normal(*batch, n, n)
        return np.asarray(a @ np.swapaxes(a, -1, -2) + n * np.eye(n))


@dataclass(frozen=True)
class Program:
    """fn: of tensors. inputs: draws the arrays. of: 'tinytorch' or 'pytorch'."""

    name: str
    of: str
    fn: Callable[..., Any]
    inputs: Callable[[Draw], Sequence[Array]]
