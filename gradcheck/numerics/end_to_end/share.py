"""A share of many lines: some entries of an input, or of a leaf that shards divide among them."""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import Lines
from gradcheck.numerics.core.verdict import RIGHT, Comparison


class SomeLines:
    """Of many lines those in `chosen`, (n,) indices."""

    def __init__(self, lines: Lines, chosen: Array) -> None:
        self.lines, self.chosen, self.size = lines, chosen, len(chosen)

    @property
    def evaluations(self) -> int:
        return self.lines.evaluations

    def noise(self) -> Array:
        return self.lines.noise()[self.chosen]

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        return self.lines(offsets, self.among_all(h), self.chosen[active])

    def among_all(self, h: Array) -> Array:
        """Steps of the chosen lines as steps of all."""
        full = np.zeros(self.lines.size)
        full[self.chosen] = h
        return full


def among_all(outcome: Comparison, chosen: Array, analytic: Array) -> Comparison:
    """The verdicts on the lines `chosen`, where those that others judge count as right.

    analytic: (lines,) slopes of all.
    """
    full = Comparison(
        analytic=analytic,
        numeric=analytic.copy(),
        error=np.zeros(analytic.size),
        limit=np.zeros(analytic.size),
        state=np.full(analytic.size, RIGHT, dtype=np.int8),
        scale=np.abs(analytic),
    )
    for name in ("numeric", "error", "limit", "state", "scale"):
        getattr(full, name)[chosen] = getattr(outcome, name)
    return full
