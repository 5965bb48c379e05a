"""Datasets: anything with a length and samples by number; and parts of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.random import generator as default_generator
from tinytorch.tensor import Tensor, as_array


class Dataset:
    """Base of datasets. A subclass defines `__len__` and `__getitem__(index) -> sample`.

    A sample is a tuple (or dict) of arrays, Tensors or numbers, or a single one. Inheriting is
    optional: a `DataLoader` takes any object with the two methods.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__()")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")


class TensorDataset(Dataset):
    """Rows of one or more arrays or Tensors of equal length: sample i is (a[i], b[i], ...).

    Samples are Tensors without a graph that keep their dtype. Raises ValueError when the lengths
    differ.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one array")
        self.arrays = tuple(as_array(t) for t in tensors)
        for i, a in enumerate(self.arrays):
            if a.ndim == 0:
                raise ValueError(f"array {i} of a TensorDataset is a single number; it has no rows")
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"the arrays of a TensorDataset must have equal lengths, got {lengths}; row i of "
                "each belongs to sample i"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(Tensor(np.asarray(a[index])) for a in self.arrays)

    def take(self, indices: NDArray[np.intp]) -> tuple[Tensor, ...]:
        """Many samples at once, stacked."""
        return tuple(Tensor(a[indices]) for a in self.arrays)


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Any, indices: Sequence[int] | NDArray[Any]) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.intp)
        n = len(dataset)
        if self.indices.ndim != 1:
            raise ValueError(f"indices must be a list of numbers, got shape {self.indices.shape}")
        if self.indices.size and not -n <= self.indices.min() <= self.indices.max() < n:
            raise IndexError(
                f"indices run from {self.indices.min()} to {self.indices.max()}, the dataset has "
                f"{n} samples"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]


def random_split(
    dataset: Any,
    lengths: Sequence[float],
    generator: np.random.Generator | None = None,
    *,
    seed: int | None = None,
) -> list[Subset]:
    """Disjoint random parts of these lengths, or of these fractions of the whole.

    Fractions are rounded down, and what is left over goes to the parts in turn. The order comes
    from `seed`, else `generator`, else tinytorch's default generator. Raises ValueError unless the
    lengths add up to the dataset's (the fractions to 1).
    """
    n = len(dataset)
    sizes = _sizes(lengths, n)
    rng = np.random.default_rng(seed) if seed is not None else generator or default_generator()
    order = rng.permutation(n)
    ends = np.cumsum(sizes)
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends)]


def _sizes(lengths: Sequence[float], n: int) -> list[int]:
    if any(x < 0 for x in lengths):
        raise ValueError(f"lengths must not be negative, got {list(lengths)}")
    if lengths and math.isclose(sum(lengths), 1) and max(lengths) <= 1 and n != 1:
        sizes = [math.floor(n * f) for f in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
        return sizes
    if any(not isinstance(x, (int, np.integer)) for x in lengths) or sum(lengths) != n:
        raise ValueError(
            f"lengths {list(lengths)} must add up to the {n} samples of the dataset, or be "
            "fractions that add up to 1"
        )
    return [int(x) for x in lengths]
