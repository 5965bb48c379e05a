"""Data sets that feed a model the wrong thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gradcheck.plugins.basics.chars import CharSequences
from gradcheck.plugins.basics.data import Digits


class UnpairedDigits(Digits):
    """A loader that shuffles images and labels by two different permutations."""

    def loader(self, batch_size: int, shuffle: bool, seed: int) -> _Batches:
        rng = np.random.default_rng(seed)
        images, labels = rng.permutation(len(self)), rng.permutation(len(self))
        return _Batches(self, images, labels, batch_size)


class _Batches:
    def __init__(self, data: Digits, images: Any, labels: Any, size: int) -> None:
        self.data, self.images, self.labels, self.size = data, images, labels, size

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(self.images) - self.size + 1, self.size):
            part = slice(start, start + self.size)
            yield self.data.inputs[self.images[part]], self.data.targets[self.labels[part]]


class ShiftedTwice(CharSequences):
    """Targets two characters ahead: shifted by the data set, and then once more."""

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        ids, targets = super().__getitem__(i)
        return ids[:-1], targets[1:]
