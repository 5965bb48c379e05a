"""Batches of a dataset, in an order that follows from a seed. Arrays only; no framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import Array, HasLoader

Batch: TypeAlias = Any
"""A tuple of fields, the target last, or a mapping of them by name. A field is an array, None, a
list of texts, or a tuple or mapping of fields."""

TARGETS = ("labels", "label", "targets", "target", "y")
"""What the target is called in a batch whose fields have names; without one it is the last."""


def collate(samples: Sequence[Any]) -> Batch:
    """Stack samples field by field: n tuples of arrays -> tuple of (n, ...) arrays, and n dicts of
    arrays -> dict of (n, ...) arrays. None stays None, texts become a list."""
    first = samples[0]
    if isinstance(first, Mapping):
        return {name: _stacked([s[name] for s in samples]) for name in first}
    return tuple(_stacked(field) for field in zip(*samples))


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if first is None:
        return None
    if not _is_field(first):
        return collate(values)
    if isinstance(first, (str, bytes)):
        return list(values)
    return np.stack([np.asarray(v) for v in values])


def _is_field(value: Any) -> bool:
    """Whether a value is one field: anything but a container of fields. Lists and tuples of numbers
    are rows of an array."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(v, _ATOMS) or _is_rows(v) for v in value)
    return not isinstance(value, Mapping)


_ATOMS = (int, float, np.generic, str, bytes)


def _is_rows(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and _is_field(value)


def is_array(value: Any) -> bool:
    """Whether a field is an array of numbers or of truth values."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiubc"


def fields(batch: Batch) -> list[Array]:
    """The arrays of a batch, or of a sample, the target last."""
    if isinstance(batch, Mapping):
        batch = divided(batch)
    arrays = [np.asarray(v) for _, v in parts(batch, _is_field) if v is not None]
    return [a for a in arrays if is_array(a)]


def samples_in(batch: Batch) -> int:
    """How many samples a batch has: the length of its first array."""
    first = next(iter(fields(batch)), np.empty(0))
    return len(first) if first.ndim else 0


def some_samples(batch: Batch, size: int, part: slice) -> Batch:
    """A part of a batch of `size` samples. An array of another length, such as a mask for all of
    them, stays whole."""

    def cut(_: str, value: Any) -> Any:
        if isinstance(value, list):
            return value[part] if len(value) == size else value
        return value[part] if is_array(value) and value.ndim and len(value) == size else value

    return replaced(batch, _is_field, cut)


def with_target(batch: Batch, target: Array) -> Batch:
    """The batch with another target."""
    if not isinstance(batch, Mapping):
        return (*batch[:-1], target)
    inputs, _ = divided(batch)
    return {k: batch[k] if k in inputs else target for k in batch}


def divided(batch: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The inputs of a batch whose fields have names, and its target."""
    key = next((k for k in TARGETS if k in batch), list(batch)[-1])
    return {k: v for k, v in batch.items() if k != key}, batch[key]


def _as_arrays(batch: Any) -> Batch:
    """What a loader of the user's yields, with arrays in the place of its tensors."""

    def array(_: str, value: Any) -> Any:
        if value is None or isinstance(value, (str, bytes)):
            return value
        made = np.asarray(value)
        return made if is_array(made) else value

    if isinstance(batch, Mapping):
        return replaced(batch, _is_field, array)
    return tuple(replaced(field, _is_field, array) for field in batch)


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
                yield _as_arrays(batch)
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
