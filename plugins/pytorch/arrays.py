"""From tensors to numpy arrays."""

from __future__ import annotations

import numpy as np
import torch

from gradcheck import Array


def as_array(tensor: torch.Tensor) -> Array:
    """A copy as a numpy array. Lazy conjugates, negations and zeros are made real, sparse tensors
    dense, and bfloat16, which numpy does not have, becomes float32."""
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    return np.array(tensor.cpu().resolve_conj().resolve_neg().numpy(force=True))
