"""A healthy loss, step, update, optimizer and data sets, for faults to be planted in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gradcheck.plugins.basics.chars import CharSequences
from gradcheck.plugins.basics.data import Digits as AllDigits
from numpy.typing import NDArray

from gradcheck import Batch, collate
from tinytorch import Tensor
from tinytorch.nn import functional as F


def loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target)


def sequence_loss(output: Tensor, target: Tensor, ignore_index: int = -100) -> Tensor:
    """output (B, T, V), target (B, T)."""
    flat = output.reshape(-1, output.shape[-1])
    return F.cross_entropy(flat, target.reshape(-1), ignore_index=ignore_index)


def squares(output: Tensor, target: Tensor) -> Tensor:
    """output (B, 1), target (B,)."""
    return ((output.reshape(-1) - target.float()) ** 2).mean()


def step(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    return loss(model(*batch[:-1]), batch[-1])


def train(model: Any, batch: tuple[Tensor, ...], loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value


class Digits(AllDigits):
    """The first 200 digits, with a loader of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: Any = self.inputs[:200]
        self.targets: Any = self.targets[:200]

    def loader(self, batch_size: int, shuffle: bool, seed: int) -> Batches:
        return Batches(self, batch_size, shuffle, seed)

    def order(self, seed: int, epoch: int, shuffle: bool) -> NDArray[Any]:
        if not shuffle:
            return np.arange(len(self))
        return np.random.default_rng([seed, epoch]).permutation(len(self))

    def batch(self, order: NDArray[Any]) -> Batch:
        return collate([self[int(i)] for i in order])


class Batches:
    """Iterate again for the next epoch. The last batch may be smaller."""

    def __init__(self, data: Digits, size: int, shuffle: bool, seed: int) -> None:
        self.data, self.size, self.shuffle, self.seed = data, size, shuffle, seed
        self.epoch = 0

    def __iter__(self) -> Iterator[Batch]:
        order = self.data.order(self.seed, self.epoch, self.shuffle)
        self.epoch += 1
        for start in range(0, len(order), self.size):
            yield self.data.batch(order[start : start + self.size])


class Text(CharSequences):
    """Windows of a generated text; padded: the second half of every third window is padding."""

    def __init__(self, length: int = 8, samples: int = 64, padded: bool = False) -> None:
        super().__init__(length, samples)
        self.padded = padded

    def __len__(self) -> int:
        return super().__len__() - 1

    def __getitem__(self, i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        ids, targets = super().__getitem__(i)
        if self.padded and i % 3 == 0:
            targets = targets.copy()
            targets[self.length // 2 :] = 0
        return ids, targets


class Adagrad:
    """Written by hand, as in its paper."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        self.params, self.lr = list(params), lr
        self.total = [np.zeros(p.shape, p.dtype) for p in self.params]

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        for p, total in zip(self.params, self.total):
            if p.grad is not None:
                total += p.grad * p.grad
                p._data = p._data - self.lr * p.grad / self.root(total)

    def root(self, total: NDArray[Any]) -> NDArray[Any]:
        return np.sqrt(total) + 1e-10
