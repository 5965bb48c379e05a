"""Every entry of every leaf end to end: many copies at a time, on all cores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import Precision
from gradcheck.numerics.core.threads import spread
from gradcheck.numerics.end_to_end.directions import (
    ROOM,
    Forward,
    ReplayForward,
    grouped,
    noise_move,
    noise_of,
)
from gradcheck.numerics.end_to_end.replay import Move

COPIES = 256
"""Copies of the forward that run at once."""


def chunks(active: Array, size: int) -> Iterator[tuple[int, Array]]:
    for start in range(0, len(active), size):
        yield start, active[start : start + size]


class EntryLines:
    """The entries of leaves, one leaf after the other, as lines of the whole forward.

    starts: (leaves + 1,) where the entries of each leaf begin.
    """

    def __init__(self, forward: Forward, values: Mapping[str, Array], precision: Precision) -> None:
        self.forward = forward
        self.values = {name: x.astype(np.float64) for name, x in values.items()}
        self.names = list(values)
        self.starts = np.cumsum([0, *(x.size for x in values.values())])
        self.size = int(self.starts[-1])
        self._noise = np.empty(self.size)
        for name, part in self.parts().items():
            x = self.values[name]
            changes = forward([noise_move(name, x, np.ones(x.shape), precision)])
            self._noise[part] = noise_of(changes, forward, precision)

    def parts(self) -> dict[str, slice]:
        """The lines of each leaf."""
        bounds = zip(self.starts[:-1].tolist(), self.starts[1:].tolist())
        return {name: slice(*ends) for name, ends in zip(self.names, bounds)}

    @property
    def evaluations(self) -> int:
        return self.forward.evaluations

    def noise(self) -> Array:
        return self._noise

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        out = np.empty((len(offsets), len(active)))
        jobs = list(self._jobs(active, len(offsets)))
        sizes = [self.values[name].size for name, _ in jobs]
        counts = [len(offsets) * (columns.stop - columns.start) for _, columns in jobs]

        def run(group: list[int]) -> None:
            moves = [self._move(*jobs[j], offsets, h, active) for j in group]
            changes = self.forward(moves)
            for j in group:
                _, columns = jobs[j]
                mine, changes = np.split(changes, [counts[j]])
                out[:, columns] = mine.reshape(-1, len(offsets)).T

        groups = grouped(self.forward, counts, sizes, most=COPIES)
        # a framework's own forward is run by one thread only
        threads = len(groups) > 4 and isinstance(self.forward, ReplayForward)
        spread(run, groups, threads=threads)
        return out

    def _jobs(self, active: Array, offsets: int) -> Iterator[tuple[str, slice]]:
        """(leaf, columns of `active`): as many entries as run at once."""
        ends = np.searchsorted(active, self.starts).tolist()
        for name, start, stop in zip(self.names, ends[:-1], ends[1:]):
            copies = min(COPIES, max(2, ROOM // self.values[name].size))
            step = max(1, copies // offsets)
            for first in range(start, stop, step):
                yield name, slice(first, min(first + step, stop))

    def _move(
        self, name: str, columns: slice, offsets: tuple[float, ...], h: Array, active: Array
    ) -> Move:
        x = self.values[name]
        lines = active[columns]
        steps = np.multiply.outer(h[lines], offsets).reshape(-1)
        entries = np.repeat(lines - self.starts[self.names.index(name)], len(offsets))
        copies = np.repeat(x.reshape(1, -1), len(steps), axis=0)
        copies[np.arange(len(steps)), entries] += steps
        return name, copies.reshape(-1, *x.shape)
