"""Arrays and leaves for the tests of the framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytorch import Tensor


def leaf(*values: float, dtype: Any = np.float64) -> Tensor:
    return Tensor(np.array(values, dtype=dtype), requires_grad=True)


def signed(shape: tuple[int, ...], seed: int = 3) -> np.ndarray:
    """Normal numbers of both signs, of size 3."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape) * 3)
