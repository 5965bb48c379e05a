"""Copies of an array, of which each needs only those rows that differ from the recorded values.

Many perturbations run through the ops at once, each as a copy of its own (a row). Upstream of its
leaf a copy is the recorded array itself, so an array has rows only for the copies whose leaf lies
upstream of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gradcheck.frameworks.protocol import Array


@dataclass(frozen=True)
class Rows:
    """The copies of one array that differ from what was recorded.

    numbers: (n,) ascending, which copies. values: (n, *shape of the array).
    """

    numbers: Array
    values: Array

    def at(self, numbers: Array) -> Array:
        """The values of some of these copies; a view where they lie side by side."""
        if len(numbers) == len(self.numbers):
            return self.values
        return self.values[_side_by_side(np.searchsorted(self.numbers, numbers))]


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of several disjoint sets, in order."""
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda p: int(p.numbers[0]))
    if all(a.numbers[-1] < b.numbers[0] for a, b in pairwise(parts)):
        return Rows(
            np.concatenate([p.numbers for p in parts]), np.concatenate([p.values for p in parts])
        )
    numbers = np.sort(np.concatenate([p.numbers for p in parts]))
    values = np.empty(
        (len(numbers), *parts[0].values.shape[1:]), np.result_type(*(p.values for p in parts))
    )
    for part in parts:
        values[_side_by_side(np.searchsorted(numbers, part.numbers))] = part.values
    return Rows(numbers, values)


def split(inputs: Sequence[Rows]) -> list[tuple[Array, tuple[int, ...]]]:
    """Copies by which of the inputs differ in them: (numbers, positions in `inputs`)."""
    first = inputs[0].numbers
    if all(r.numbers is first or np.array_equal(r.numbers, first) for r in inputs[1:]):
        return [(first, tuple(range(len(inputs))))]
    kinds = np.zeros(1 + max(int(r.numbers[-1]) for r in inputs), dtype=np.int64)
    for position, rows in enumerate(inputs):
        kinds[rows.numbers] |= 1 << position
    return [
        (
            np.flatnonzero(kinds == kind),
            tuple(p for p in range(len(inputs)) if kind >> p & 1),
        )
        for kind in np.unique(kinds[kinds > 0]).tolist()
    ]


def _side_by_side(positions: Array) -> Array | slice:
    """A slice where the positions are consecutive."""
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return slice(start, stop) if stop - start == len(positions) else positions
