"""PyTorch's `torch.nn.functional`: the same names, argument order and defaults."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinytorch import ops
from tinytorch.ops import (
    avg_pool2d,
    conv1d,
    conv2d,
    cross_entropy,
    gelu,
    huber_loss,
    l1_loss,
    leaky_relu,
    linear,
    max_pool2d,
    mse_loss,
    nll_loss,
    pad,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from tinytorch.random import generator
from tinytorch.tensor import Tensor

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """e^x / sum(e^x) along dim."""
    return ops.softmax(input, dim)


def log_softmax(input: Tensor, dim: int = -1) -> Tensor:
    """log(softmax(input)) along dim."""
    return ops.log_softmax(input, dim)


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalized over the last axes, whose lengths are `normalized_shape`."""
    return ops.layer_norm(input, weight, bias, eps, _last_axes(input, normalized_shape))


def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divided by the root of the mean square over the last axes."""
    return ops.rms_norm(input, weight, eps, _last_axes(input, normalized_shape))


def _last_axes(input: Tensor, normalized_shape: int | Sequence[int]) -> int:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"normalized_shape {shape} must be the lengths of the last axes of the input, "
            f"which has shape {input.shape}"
        )
    return len(shape)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalized per channel (axis 1): by the batch's moments when training, else the running ones.

    When training, the running moments, if given, move towards the batch's by `momentum`, in place;
    the running variance is the unbiased one.
    """
    y = ops.batch_norm(input, running_mean, running_var, weight, bias, training, eps)
    if training and running_mean is not None and running_var is not None:
        x = input._data
        dims = tuple(d for d in range(x.ndim) if d != 1)
        for running, now in ((running_mean, x.mean(dims)), (running_var, x.var(dims, ddof=1))):
            running._data *= 1 - momentum
            running._data += (momentum * now).astype(running.dtype)
    return y


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Entries zeroed with probability p, the others divided by 1 - p; the input when not training.

    The mask comes from tinytorch's default generator (see `manual_seed`).
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout needs a probability from 0 to 1, got p={p}")
    if not training or p == 0:
        return input
    mask = generator().random(input.shape, dtype=np.float32) >= p
    return ops.dropout(input, mask, p)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of weight (vocabulary, dim) that the integers in input name."""
    return ops.embedding(weight, input, padding_idx)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of the sigmoid of input with targets in [0, 1]."""
    return ops.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Integers (...) -> (..., num_classes): 1 at the place named, 0 elsewhere."""
    ids = tensor._data
    n = int(ids.max()) + 1 if num_classes == -1 else num_classes
    return Tensor((ids[..., None] == np.arange(n)).astype(np.int64))
