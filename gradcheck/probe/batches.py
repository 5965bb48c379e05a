"""Batches of a dataset, in an order that follows from a seed. Arrays only; no framework."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, HasLoader

Batch = tuple[Array, ...]


def collate(samples: Sequence[tuple[Any, ...]]) -> Batch:
    """Stack samples field by field: n tuples of arrays -> tuple of (n, ...) arrays."""
    return tuple(np.stack([np.asarray(v) for v in field]) for field in zip(*samples))


class Loader:
    """Iterates over a dataset once a call of `iter`, a new order each epoch when shuffled.

    A dataset with its own `loader(batch_size, shuffle, seed)` is asked for its batches instead.
    """

    def __init__(self, dataset: Any, batch_size: int, *, shuffle: bool, seed: int) -> None:
        if len(dataset) < batch_size:
            raise ValueError(
                f"a batch of {batch_size} was asked of a dataset of {len(dataset)} samples; "
                "lower `data: batch`"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._epoch = 0
        own = isinstance(dataset, HasLoader)
        self._own = dataset.loader(batch_size, shuffle, seed) if own else None

    def __iter__(self) -> Iterator[Batch]:
        if self._own is not None:
            for batch in self._own:
                yield tuple(np.asarray(a) for a in batch)
            return
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self._epoch]).permutation(order)
        self._epoch += 1
        for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
            yield collate([self.dataset[int(i)] for i in order[start : start + self.batch_size]])

    def take(self, count: int) -> Iterator[Batch]:
        """`count` batches, starting new epochs as needed."""
        while count > 0:
            before = count
            for batch in self:
                yield batch
                count -= 1
                if count == 0:
                    return
            if count == before:
                raise ValueError("the dataset's loader yields no batch at all")
