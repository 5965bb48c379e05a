"""DataLoader: batches of a dataset, in an order that follows from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinytorch.data.dataset import Subset, TensorDataset
from tinytorch.random import generator as default_generator
from tinytorch.tensor import Tensor, as_array


def default_collate(samples: Sequence[Any]) -> Any:
    """One batch of many samples: arrays, Tensors and numbers are stacked along a new first axis.

    Tuples (also named ones) and dicts are collated field by field, strings stay a list. Integers
    stay integers, Python floats become float32. Raises ValueError naming sample and field where
    shapes differ.
    """
    return _collate(list(samples), "")


def _collate(samples: list[Any], field: str) -> Any:
    first = samples[0]
    if isinstance(first, (str, bytes)):
        return samples
    if isinstance(first, dict):
        return {k: _collate([s[k] for s in samples], f"{field}[{k!r}]") for k in first}
    if isinstance(first, (tuple, list)):
        for place, sample in enumerate(samples):
            if len(sample) != len(first):
                raise ValueError(
                    f"sample {place} of the batch{_of(field)} has {len(sample)} fields, the first "
                    f"has {len(first)}; pass a collate_fn that puts them together"
                )
        parts = [_collate(list(column), f"{field}[{i}]") for i, column in enumerate(zip(*samples))]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    arrays = [as_array(s) for s in samples]
    for place, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"sample {place} of the batch{_of(field)} has shape {array.shape}, the first has "
                f"{arrays[0].shape}; pad them in the dataset, or pass a collate_fn that does"
            )
    return Tensor(np.stack(arrays))


def _of(field: str) -> str:
    return f", field {field}," if field else ""


class DataLoader:
    """Iterates over batches of `dataset`, every sample once an epoch; iterate again for the next.

    shuffle: a new order each epoch. It follows from `seed` and the number of the epoch, else from
    `generator`, else from tinytorch's default generator (see `manual_seed`). drop_last: leave out a
    last batch that is not full. collate_fn: makes a batch of a list of samples (default_collate).
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
            raise TypeError(f"batch_size must be an integer, got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if seed is not None and generator is not None:
            raise ValueError("give a DataLoader either a seed or a generator, not both")
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"a DataLoader needs a dataset with __len__ and __getitem__, got "
                f"{type(dataset).__name__}"
            )
        if shuffle and len(dataset) == 0:
            raise ValueError("the dataset has no samples to shuffle")
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.seed = seed
        self.generator = generator
        self.epoch = 0
        """The number of the next epoch. Set it to repeat one, or to resume a run."""

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        # The order is drawn now, not at the first batch, so that two iterators begun one after the
        # other are two epochs.
        order = self._order()
        self.epoch += 1
        return self._batches(order)

    def _order(self) -> np.ndarray:
        n = len(self.dataset)
        if not self.shuffle:
            return np.arange(n)
        if self.seed is not None:
            return np.random.default_rng([self.seed, self.epoch]).permutation(n)
        return (self.generator or default_generator()).permutation(n)

    def _batches(self, order: np.ndarray) -> Iterator[Any]:
        for i in range(len(self)):
            indices = order[i * self.batch_size : (i + 1) * self.batch_size]
            rows = self._rows(indices) if self.collate_fn is default_collate else None
            if rows is None:
                rows = self.collate_fn([self.dataset[int(k)] for k in indices])
            yield rows

    def _rows(self, indices: np.ndarray) -> tuple[Tensor, ...] | None:
        """The batch by one indexing of each array, where the dataset is made of arrays."""
        dataset = self.dataset
        while type(dataset) is Subset:
            indices, dataset = dataset.indices[indices], dataset.dataset
        return dataset.take(indices) if type(dataset) is TensorDataset else None
