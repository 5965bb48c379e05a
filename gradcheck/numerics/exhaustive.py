"""Every entry of every leaf end to end: K copies at a time, on all cores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.directions import Forward, ReplayForward
from gradcheck.numerics.threads import spread

COPIES = 128
"""Copies of the forward that run at once."""
ROOM = 1 << 23
"""Numbers in the copies of one leaf."""


def chunks(active: Array, size: int) -> Iterator[tuple[int, Array]]:
    for start in range(0, len(active), size):
        yield start, active[start : start + size]


class EntryLines:
    """The entries of one leaf as lines of the whole forward."""

    def __init__(self, forward: Forward, name: str, value: Array, noise: float) -> None:
        self.forward, self.name = forward, name
        self.value = value.astype(np.float64)
        self.size = value.size
        self._noise = noise

    @property
    def evaluations(self) -> int:
        return self.forward.evaluations

    def noise(self) -> Array:
        return np.full(self.size, self._noise)

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        out = np.empty((len(offsets), len(active)))
        ks = np.asarray(offsets)
        flat = self.value.reshape(-1)

        def run(job: tuple[int, Array]) -> None:
            start, entries = job
            stack = np.tile(flat, (len(entries) * len(ks), 1))
            rows = np.arange(len(stack))
            columns = np.repeat(entries, len(ks))
            stack[rows, columns] += np.tile(ks, len(entries)) * np.repeat(h[entries], len(ks))
            values = self.forward(self.name, stack.reshape(-1, *self.value.shape))
            out[:, start : start + len(entries)] = values.reshape(len(entries), len(ks)).T

        copies = min(COPIES, max(2, ROOM // max(self.size, 1)))
        jobs = list(chunks(active, max(1, copies // len(ks))))
        if jobs:
            run(jobs[0])  # settles how each op takes copies before threads share that knowledge
        # a framework's own forward is run by one thread only
        threads = len(jobs) > 4 and isinstance(self.forward, ReplayForward)
        spread(run, jobs[1:], threads=threads)
        return out
