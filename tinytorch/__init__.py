"""tinytorch: a small numpy framework with PyTorch's names.

import tinytorch as tt
w = tt.randn(3, requires_grad=True)
(w * w).sum().backward()      # w.grad is 2 w
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytorch import ops, random
from tinytorch.creation import (
    arange,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from tinytorch.errors import GraphError, PullbackError, ShapeError, TinytorchError
from tinytorch.grad_mode import enable_grad, is_grad_enabled, no_grad
from tinytorch.operation import OPS, Op, op
from tinytorch.ops import *  # noqa: F403
from tinytorch.random import generator, manual_seed
from tinytorch.tensor import Tensor

# gradcheck reads this line, without importing, to tell this package from others of its name.
__distribution__ = "gradcheck-tinytorch"

float16 = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
int32 = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)


def max(input: Tensor, dim: int | None = None, keepdim: Any = False) -> Any:
    """The largest entry, or with `dim` (values, indices); `amax` takes several axes."""
    return input.max(dim, keepdim)


def min(input: Tensor, dim: int | None = None, keepdim: Any = False) -> Any:
    """The smallest entry, or with `dim` (values, indices); `amin` takes several axes."""
    return input.min(dim, keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: Any = False) -> Tensor:
    """The place of the largest entry."""
    return input.argmax(dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: Any = False) -> Tensor:
    """The place of the smallest entry."""
    return input.argmin(dim, keepdim)


def std(input: Tensor, dim: Any = None, unbiased: Any = True, keepdim: Any = False) -> Tensor:
    """Standard deviation: the square root of `var`."""
    return input.std(dim, unbiased, keepdim)


def masked_fill(input: Tensor, mask: Any, value: Any) -> Tensor:
    """`value` where the boolean mask holds, input elsewhere."""
    return input.masked_fill(mask, value)


# Last, as these need what is above.
from tinytorch import data, nn, optim  # noqa: E402
from tinytorch.serialization import load, save  # noqa: E402

# The functions of `ops` besides, all of which `ops.__all__` names.
__all__ = [
    "OPS",
    "GraphError",
    "Op",
    "PullbackError",
    "ShapeError",
    "Tensor",
    "TinytorchError",
    "arange",
    "argmax",
    "argmin",
    "bool",
    "data",
    "double",
    "enable_grad",
    "eye",
    "float",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "full_like",
    "generator",
    "int32",
    "int64",
    "is_grad_enabled",
    "linspace",
    "load",
    "long",
    "manual_seed",
    "masked_fill",
    "max",
    "min",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "op",
    "optim",
    "rand",
    "randint",
    "randn",
    "random",
    "randperm",
    "save",
    "std",
    "tensor",
    "uint8",
    "zeros",
    "zeros_like",
]
__all__ += ops.__all__
