"""A few ops in a row, where YAML has no word for the arguments (slices, several results)."""

from __future__ import annotations

import tinytorch
from tinytorch import Tensor


def split_and_join(x: Tensor) -> Tensor:
    """The parts of x along its last axis, of lengths 2 and the rest, squared and joined swapped."""
    first, second = tinytorch.split(x, [2, x.shape[-1] - 2], dim=-1)
    return tinytorch.cat([second * second, first], dim=-1)


def every_second_reversed(x: Tensor) -> Tensor:
    """Every second column of all rows but the first, from the right, with a new axis."""
    return x[1:, ::-2, None]
