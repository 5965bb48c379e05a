"""Calls of every op, written once and run by tinytorch and by PyTorch.

A call is `lambda m, *tensors`: m is `tinytorch` or `torch`, each with `m.F` its nn.functional, so
that one line also proves that names and argument order agree. Where PyTorch has no such call,
`theirs` is given. An input is a function of a generator (see N, P, I, B, V).
"""

# ruff: noqa: N802  (N, P, I, B, V, T are input makers)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Input = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Call:
    op: str
    label: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    inputs: tuple[Input, ...]

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(7)
        return [make(rng) for make in self.inputs]


def N(*shape: int, scale: float = 1.0) -> Input:
    """Normal numbers of both signs."""
    return lambda rng: np.asarray(rng.standard_normal(shape) * scale)


def P(*shape: int) -> Input:
    """Positive numbers, 0.5 to 2.5."""
    return lambda rng: np.asarray(rng.random(shape) * 2 + 0.5)


def I(n: int, *shape: int) -> Input:  # noqa: E743
    """Integers below n, so that small n repeats some."""
    return lambda rng: np.asarray(rng.integers(0, n, shape))


def B(*shape: int) -> Input:
    """Booleans."""
    return lambda rng: np.asarray(rng.random(shape) > 0.4)


def V(values: Any, dtype: Any = None) -> Input:
    """These values."""
    return lambda rng: np.array(values, dtype=dtype)


def T(make: Input, *axes: int) -> Input:
    """The same numbers in another memory layout: axes permuted."""
    return lambda rng: np.transpose(make(rng), axes)


CALLS: list[Call] = []


def call(op: str, ours: Callable[..., Any], *inputs: Input, theirs: Any = None) -> None:
    count = sum(c.op == op for c in CALLS)
    CALLS.append(Call(op, f"{op}-{count}", ours, theirs or ours, inputs))
