"""Causal, masked and padded attention as one op: scores, mask, softmax and values.

    P = softmax(scale Q Kᵀ + M)             O = P V
    dV = Pᵀ dO                              dP = dO Vᵀ
    dS = P (dP - sum(dP P))                 dQ = scale dS K             dK = scale dSᵀ Q

Vaswani et al. 2017. A row of P in which every key is masked is zero, and so is its gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinytorch import op


@op
def attention(
    query,
    key,
    value,
    attn_mask=None,
    key_padding_mask=None,
    dropout_mask=None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
):
    """softmax(scale Q Kᵀ + mask) V: query (..., T, D), key (..., S, D), value (..., S, E).

    Returns (..., T, E). Leading axes (batch, heads) broadcast. scale: 1/√D if None.

    attn_mask: (..., T, S) or what broadcasts to it; boolean: True takes part; otherwise added to
    the scores, and it gets a gradient. key_padding_mask: (B, S) boolean, True is padding and takes
    no part (then query is (..., B, H, T, D)). is_causal: query t sees keys up to S - T + t, so
    that with a cache (T < S) the queries are the last T positions. dropout_mask: (..., T, S)
    boolean, which probabilities are kept; they are divided by 1 - dropout_p.
    """
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1])
    q = query * query.real.dtype.type(scale)  # (..., T, D): cheaper than scaling the scores
    scores = _added(q @ transposed(key), attn_mask)  # (..., T, S)
    mask_scores(scores, attn_mask, key_padding_mask, is_causal)
    p = softmax_in_place(scores)
    kept = None
    if dropout_mask is not None:
        kept = dropout_mask * p.real.dtype.type(1 / (1 - dropout_p) if dropout_p < 1 else 0)
    weights = p if kept is None else p * kept
    y = weights @ value  # (..., T, E)
    has_bias = attn_mask is not None and attn_mask.dtype != np.bool_

    def pullback(g):
        ds = g @ transposed(value)  # (..., T, S)
        if kept is not None:
            ds *= kept
        ds = softmax_backward(p, ds)
        return (
            ds @ (key * key.dtype.type(scale)),
            transposed(ds) @ q,
            transposed(weights) @ g,
            ds if has_bias else None,
            None,
            None,
        )

    return y, pullback


def transposed(x):
    """Transpose of the last two axes."""
    return np.swapaxes(x, -1, -2)


def _added(scores, attn_mask):
    """The scores plus an additive mask; as they are where there is none."""
    if attn_mask is None or attn_mask.dtype == np.bool_:
        return scores
    return scores + attn_mask


def causal_mask(rows: int, columns: int):
    """(rows, columns) boolean: True where the query of a row must not see the key of a column."""
    return np.triu(np.ones((rows, columns), np.bool_), columns - rows + 1)


def mask_scores(scores, attn_mask, key_padding_mask, is_causal: bool) -> None:
    """Minus infinity, in place, wherever a mask hides a key."""
    hidden: Any = None
    if is_causal:
        hidden = causal_mask(*scores.shape[-2:])
    if attn_mask is not None and attn_mask.dtype == np.bool_:
        hidden = ~attn_mask if hidden is None else hidden | ~attn_mask
    if key_padding_mask is not None:
        if key_padding_mask.dtype != np.bool_:
            raise ValueError(
                f"key_padding_mask must be boolean, True for padding; got {key_padding_mask.dtype}"
            )
        padding = key_padding_mask[..., None, None, :]  # (B, 1, 1, S)
        hidden = padding if hidden is None else hidden | padding
    if hidden is not None:
        np.copyto(scores, -np.inf, where=hidden)


def softmax_in_place(s):
    """Softmax over the last axis, written over s. A row of minus infinities becomes zeros."""
    highest = s.real.max(axis=-1, keepdims=True)
    np.maximum(highest, np.finfo(highest.dtype).min, out=highest)  # -inf - -inf would be NaN
    s -= highest
    np.exp(s, out=s)
    total = s.sum(axis=-1, keepdims=True)
    total[total == 0] = 1
    s /= total
    return s


def softmax_backward(p, dp):
    """dS = P (dP - sum(dP P)), written over dP."""
    dp -= np.einsum("...s,...s->...", dp, p)[..., None]
    dp *= p
    return dp
