"""Faults of data sets and loaders, and of the targets that they hand out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck import collate

from . import loops
from .planting import Fault, Planter, replaced
from .training import DIGITS, TEXT

WIDE_TEXT = TEXT.replace("batch: 4", "batch: 16")


def _loader(wrong: Any) -> Planter:
    return replaced(loops.Digits, "order", wrong)


def unshuffled(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.arange(len(self))


def same_every_epoch(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng(seed).permutation(len(self))


def unseeded(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng().permutation(len(self))


def seed_ignored(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng([7, epoch]).permutation(len(self))


def with_replacement(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng([seed, epoch]).integers(0, len(self), len(self))


def first_half_only(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng([seed, epoch]).permutation(len(self) // 2)


def last_sample_never_drawn(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng([seed, epoch]).permutation(len(self) - 1)


def last_batch_again(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    order = np.random.default_rng([seed, epoch]).permutation(len(self))
    return np.concatenate([order, order[-16:]])


def first_batch_skipped(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.random.default_rng([seed, epoch]).permutation(len(self))[16:]


def labels_shuffled_apart(self: Any, order: Any) -> Any:
    inputs, _ = collate([self[int(i)] for i in order])
    _, labels = collate([self[int(i)] for i in order[::-1]])
    return inputs, labels


def labels_one_behind(self: Any, order: Any) -> Any:
    inputs, labels = collate([self[int(i)] for i in order])
    return inputs, np.roll(labels, 1)


def empty_second_epoch() -> Any:
    def batches(self: Any) -> Iterator[Any]:
        if self.epoch:
            return
        yield from original(self)

    original = loops.Batches.__iter__
    return replaced(loops.Batches, "__iter__", batches)


def shifted_twice(self: Any, i: int) -> Any:
    start = i * self.length
    return self.ids[start : start + self.length], self.ids[start + 2 : start + self.length + 2]


def wrapped_around(self: Any, i: int) -> Any:
    start = i * self.length
    x = self.ids[start : start + self.length]
    return x, np.roll(x, -1)


def last_target_zero(self: Any, i: int) -> Any:
    x, y = wrapped_around(self, i)
    y[-1] = 0
    return x, y


def not_shifted(self: Any, i: int) -> Any:
    start = i * self.length
    return self.ids[start : start + self.length], self.ids[start : start + self.length]


def faults() -> list[Fault]:
    def loader(name: str, wrong: Any, finding: str) -> Fault:
        return Fault(name, _loader(wrong), DIGITS, "loader", finding)

    def text(name: str, wrong: Any, finding: str = "misaligned", case: str = TEXT) -> Fault:
        plant = replaced(loops.Text, "__getitem__", wrong)
        return Fault(name, plant, case, "alignment", finding)

    return [
        text("targets_shifted_twice", shifted_twice),
        text("targets_not_shifted", not_shifted),
        text("targets_wrap_around", wrapped_around, "last_target", WIDE_TEXT),
        text("last_target_constant", last_target_zero, "last_target", WIDE_TEXT),
        loader("samples_not_shuffled", unshuffled, "not_shuffled"),
        loader("same_order_every_epoch", same_every_epoch, "same_order"),
        loader("order_not_seeded", unseeded, "seed_not_repeated"),
        loader("order_ignores_the_seed", seed_ignored, "seed_ignored"),
        loader("samples_with_replacement", with_replacement, "sample_repeated"),
        loader("half_of_the_samples", first_half_only, "sample_missing"),
        loader("last_sample_never_drawn", last_sample_never_drawn, "sample_missing"),
        loader("last_batch_twice", last_batch_again, "sample_repeated"),
        loader("first_batch_skipped", first_batch_skipped, "sample_missing"),
        Fault("labels_shuffled_apart", replaced(loops.Digits, "batch", labels_shuffled_apart),
              DIGITS, "loader", "unpaired"),
        Fault("labels_one_behind", replaced(loops.Digits, "batch", labels_one_behind),
              DIGITS, "loader", "unpaired"),
        Fault("loader_used_up", empty_second_epoch(), DIGITS, "loader", "no_batch"),
    ]  # fmt: skip
