"""From tensors to numpy arrays."""

from __future__ import annotations

import numpy as np
import torch

from gradcheck import Array


def as_array(tensor: torch.Tensor) -> Array:
    """A copy as a numpy array. Lazy conjugates, negations and zeros are made real, sparse tensors
    dense, and bfloat16, which numpy does not have, becomes float32. Complex numbers are pairs of
    their real and imaginary parts along one more axis at the end."""
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    return np.array(tensor.cpu().resolve_conj().resolve_neg().numpy(force=True))


def as_cotangent(array: Array, output: torch.Tensor) -> torch.Tensor:
    """The cotangent of `output`, of the shape that `as_array` gives it. That of a complex number is
    dL/dRe + i dL/dIm, as PyTorch has it. Memory is shared where the dtype allows it."""
    given = torch.from_numpy(array)
    if output.is_complex():
        return torch.view_as_complex(given.contiguous()).to(output.dtype)
    return given.to(output.dtype)
