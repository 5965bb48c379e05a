"""Self-attention on one packed product: (..., T, 3 C) in, (..., T, C) out, heads as views."""

from __future__ import annotations

import math

import numpy as np

from tinytorch import op

from .attention import mask_scores, softmax_backward, softmax_in_place, transposed


@op
def packed_attention(
    qkv, key_padding_mask=None, heads: int = 1, is_causal: bool = True, scale: float | None = None
):
    """`attention` of the queries, keys and values that lie side by side in qkv (..., T, 3 C).

    The heads are strided views of qkv, and the result (..., T, C) is written with its heads merged:
    nothing is copied to split or to merge them. key_padding_mask: (..., T), True is padding.
    """
    *lead, t, c3 = qkv.shape
    if c3 % (3 * heads):
        raise ValueError(f"the last axis must be 3 x {heads} heads x their width, got {c3}")
    d = c3 // (3 * heads)
    real = qkv.real.dtype.type
    factor = real(1 / math.sqrt(d) if scale is None else scale)

    def split(x):
        """(..., T, 3 C) -> three views (..., H, T, D)."""
        x = x.reshape(*lead, t, 3, heads, d)
        return (np.swapaxes(x[..., i, :, :], -2, -3) for i in range(3))

    q, k, v = split(qkv)
    p = q @ transposed(k)  # (..., H, T, T)
    p *= factor
    mask_scores(p, None, key_padding_mask, is_causal)
    softmax_in_place(p)
    y = np.empty((*lead, t, heads, d), p.dtype)
    np.matmul(p, v, out=np.swapaxes(y, -2, -3))

    def pullback(g):
        g = np.swapaxes(g.reshape(*lead, t, heads, d), -2, -3)  # (..., H, T, D)
        gx = np.empty((*lead, t, c3), g.dtype)
        gq, gk, gv = split(gx)
        np.matmul(transposed(p), g, out=gv)
        ds = softmax_backward(p, g @ transposed(v))
        ds *= factor
        np.matmul(ds, k, out=gq)
        np.matmul(transposed(ds), q, out=gk)
        return gx, None

    return y.reshape(*lead, t, heads * d), pullback
