"""The declared domain of an input: no step and no probe leaves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.frameworks.protocol import Array


@dataclass(frozen=True)
class Bounds:
    """low <= x <= high for every entry. An entry that lies outside as it is given has no bounds."""

    low: float = -np.inf
    high: float = np.inf

    def outside(self, values: Array, x: Array) -> Array:
        """Which entries of `values` (..., *shape of x) leave the domain that those of x are in."""
        return np.asarray(((values < self.low) | (values > self.high)) & self._bound(x))

    def clipped(self, values: Array, x: Array) -> Array:
        """`values` with the entries that leave the domain on its edge."""
        return np.where(self._bound(x), np.clip(values, self.low, self.high), values)

    def shortened(self, direction: Array, x: Array, reach: float) -> Array:
        """`direction` with the entries that it would take outside within +-`reach` made smaller,
        those on the edge to zero."""
        room = np.where(self._bound(x), np.minimum(x - self.low, self.high - x), np.inf)
        return np.sign(direction) * np.minimum(np.abs(direction), room / reach)

    def _bound(self, x: Array) -> Array:
        return np.asarray((x >= self.low) & (x <= self.high))
