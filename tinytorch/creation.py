"""Tensors from numbers. float32 unless `dtype` says otherwise; PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinytorch.random import generator as _default_generator
from tinytorch.tensor import Tensor, as_array, default_dtype

Shape = Any
"""Given as numbers, f(2, 3), or as one sequence, f((2, 3))."""


def tensor(data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data` (a number, nested lists, or an array)."""
    return Tensor(np.array(as_array(data, dtype)), requires_grad)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array."""
    return Tensor(array)


def zeros(*size: Shape, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    return Tensor(np.zeros(_shape(size), dtype or default_dtype), requires_grad)


def ones(*size: Shape, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    return Tensor(np.ones(_shape(size), dtype or default_dtype), requires_grad)


def full(
    size: Shape, fill_value: Any, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    return Tensor(np.full(size, as_array(fill_value, dtype)), requires_grad)


def zeros_like(
    input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    return Tensor(np.zeros(input.shape, dtype or input.dtype), requires_grad)


def ones_like(input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    return Tensor(np.ones(input.shape, dtype or input.dtype), requires_grad)


def full_like(
    input: Tensor, fill_value: Any, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    return Tensor(np.full(input.shape, fill_value, dtype or input.dtype), requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end; arange(n) counts from 0. Integers give int64."""
    if end is None:
        start, end = 0, start
    if dtype is None:
        integers = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
        dtype = np.int64 if integers else default_dtype
    return Tensor(np.arange(start, end, step).astype(dtype), requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    return Tensor(np.linspace(start, end, steps, dtype=dtype or default_dtype), requires_grad)


def eye(
    n: int,
    m: int | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    return Tensor(np.eye(n, m, dtype=dtype or default_dtype), requires_grad)


def randn(
    *size: Shape,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal numbers."""
    rng = generator or _default_generator()
    return Tensor(rng.standard_normal(_shape(size)).astype(dtype or default_dtype), requires_grad)


def rand(
    *size: Shape,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1)."""
    rng = generator or _default_generator()
    return Tensor(rng.random(_shape(size)).astype(dtype or default_dtype), requires_grad)


def randint(
    low: int,
    high: int | None = None,
    size: Shape = (),
    generator: np.random.Generator | None = None,
    dtype: DTypeLike = np.int64,
) -> Tensor:
    """Integers from low to high - 1; randint(high, size=...) counts from 0. As PyTorch's,
    randint(10, (2, 3)) has a size in the second place.
    """
    if high is None or isinstance(high, (tuple, list)):
        low, high, size = 0, low, size if high is None else high
    rng = generator or _default_generator()
    return Tensor(np.asarray(rng.integers(low, high, size)).astype(dtype))


def randperm(n: int, generator: np.random.Generator | None = None) -> Tensor:
    """0 to n - 1 in random order."""
    return Tensor((generator or _default_generator()).permutation(n))


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return size
