"""Faults of transformers, each to be planted for a while. What each needs is a `with` statement.

A fault replaces a function of this plugin that ops and layers call; the check named with it must
then fail with the finding named with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from gradcheck.hookspecs import Register
from tinytorch import Tensor

from . import attention, encoder_decoder, heads, packed, positions

MODULES = (attention, packed)
"""Where the functions of the attention ops are looked up."""


@contextmanager
def _replaced(name: str, function: Callable[..., Any]) -> Iterator[None]:
    """`function` in the place of `name`, in both attention ops."""
    first, second = (patch.object(module, name, function) for module in MODULES)
    with first, second:
        yield


def mask_off_by_one() -> Any:
    """Position t also sees position t + 1."""
    return patch.object(attention, "causal_mask", lambda n, m: np.triu(_ones(n, m), 2))


def mask_inverted() -> Any:
    """Position t sees the positions after it and itself, none before."""
    return patch.object(attention, "causal_mask", lambda n, m: np.tril(_ones(n, m), -1))


def mask_absent() -> Any:
    """Every position sees all others."""
    return patch.object(attention, "causal_mask", lambda n, m: ~_ones(n, m))


def _ones(rows: int, columns: int) -> Any:
    return np.ones((rows, columns), np.bool_)


def softmax_over_queries() -> Any:
    """The attention probabilities add up to 1 over the queries instead of the keys."""
    return _over_axis(-2)


def softmax_over_batch() -> Any:
    """The attention probabilities add up to 1 over the batch."""
    return _over_axis(0)


@contextmanager
def _over_axis(axis: int) -> Iterator[None]:
    def forward(s: Any) -> Any:
        s -= s.real.max(axis=axis, keepdims=True).clip(np.finfo(s.real.dtype).min)
        np.exp(s, out=s)
        s /= s.sum(axis=axis, keepdims=True)
        return s

    def backward(p: Any, dp: Any) -> Any:
        dp -= (dp * p).sum(axis=axis, keepdims=True)
        dp *= p
        return dp

    with _replaced("softmax_in_place", forward), _replaced("softmax_backward", backward):
        yield


@contextmanager
def heads_merged_without_transpose() -> Iterator[None]:
    """(B, H, T, D) reshaped to (B, T, C): positions and heads are mixed up."""

    def merged(self: Any, y: Tensor) -> Tensor:
        *lead, h, t, d = y.shape
        return y.reshape(*lead, t, h * d)

    with _unpacked(), patch.object(heads.MultiHeadAttention, "_merged", merged):
        yield


@contextmanager
def scale_missing() -> Iterator[None]:
    """Scores are not divided by the root of the width of a head."""

    def unscaled(*arrays: Any, **options: Any) -> Tensor:
        return packed.packed_attention(*arrays, scale=1.0, **options)

    with patch.object(heads, "packed_attention", unscaled):
        yield


@contextmanager
def scores_swallowed() -> Iterator[None]:
    """The mask adds 1e9 where a key may be seen: beside it float32 scores vanish."""

    def huge(scores: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool) -> None:
        rows, columns = scores.shape[-2:]
        scores += np.where(attention.causal_mask(rows, columns), 0, scores.real.dtype.type(1e9))

    with _replaced("mask_scores", huge):
        yield


@contextmanager
def attention_detached() -> Iterator[None]:
    """The output of the attention is rebuilt from its values: nothing before it trains."""

    def detached(*arrays: Any, **options: Any) -> Tensor:
        return Tensor(packed.packed_attention(*arrays, **options).data)

    with patch.object(heads, "packed_attention", detached):
        yield


@contextmanager
def positions_without_effect() -> Iterator[None]:
    """The position table is added with weight zero."""

    def forward(self: Any, x: Tensor, start: int = 0) -> Tensor:
        return x + self.weight[start : start + x.shape[-2]] * 0.0

    with patch.object(positions.LearnedPositions, "forward", forward):
        yield


@contextmanager
def padding_attended() -> Iterator[None]:
    """Padding is attended to: the result depends on how far a sequence was filled up."""
    with patch.object(encoder_decoder.EncoderDecoder, "_padded", lambda self, ids: None):
        yield


@contextmanager
def _unpacked() -> Iterator[None]:
    """Self-attention through `attention`, with heads split and merged one by one."""

    original = heads.MultiHeadAttention.forward

    def forward(self: Any, x: Tensor, memory: Tensor | None = None, **options: Any) -> Tensor:
        options["attn_mask"] = Tensor(np.zeros((1, 1), x.dtype))  # an additive mask of zeros
        return original(self, x, memory, **options)

    with patch.object(heads.MultiHeadAttention, "forward", forward):
        yield


def register_all(register: Register) -> None:
    """Each fault with the check that must see it and the finding that it must report."""
