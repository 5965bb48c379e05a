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

from gradcheck import Register
from tinytorch import Tensor
from tinytorch.nn import functional

from . import attention, heads, packed, positions

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
def _unpacked() -> Iterator[None]:
    """Self-attention through `attention`, with heads split and merged one by one."""

    original = heads.MultiHeadAttention.forward

    def forward(self: Any, x: Tensor, memory: Tensor | None = None, **options: Any) -> Tensor:
        options["attn_mask"] = Tensor(np.zeros((1, 1), x.dtype))  # an additive mask of zeros
        return original(self, x, memory, **options)

    with patch.object(heads.MultiHeadAttention, "forward", forward):
        yield


def padding_counted() -> Any:
    """The loss forgets which target is padding."""
    right = functional.cross_entropy

    def forgetful(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        return right(input, target, **{**options, "ignore_index": -100})

    return patch.object(functional, "cross_entropy", forgetful)


GPT_CASE = """
model: gpt
args: {vocab: 45, context: 8, layers: 1, heads: 2, width: 16}
data: {name: stories, context: 8, batch: 3, stories: 60}
loss: sequence_cross_entropy
"""
REFERENCE_CASE = GPT_CASE + "checks: {reference: {model: textbook_gpt}}"
PADDED_CASE = """
model: encoder_decoder
args: {vocab: 11, context: 8, layers: 1, heads: 2, width: 16, padding: 0}
data: {name: copied_sequences, batch: 8}
loss: {name: sequence_cross_entropy, ignore_index: 0}
"""

FAULTS: tuple[tuple[Callable[[], Any], str, str, str], ...] = (
    (mask_off_by_one, "causality", "sees_future", GPT_CASE),
    (mask_inverted, "causality", "sees_future", GPT_CASE),
    (mask_absent, "causality", "sees_future", GPT_CASE),
    (softmax_over_queries, "causality", "sees_future", GPT_CASE),
    (softmax_over_batch, "batch_independence", "depends_on_batch", GPT_CASE),
    (heads_merged_without_transpose, "reference", "output_differs", REFERENCE_CASE),
    (scale_missing, "init", "scores_too_large", GPT_CASE),
    (scores_swallowed, "reference", "output_differs", REFERENCE_CASE),
    (attention_detached, "graph", "cut", GPT_CASE),
    (positions_without_effect, "graph", "no_effect", GPT_CASE),
    (padding_counted, "alignment", "padding_counts", PADDED_CASE),
)
"""Fault, the check that must see it, the finding that it must report, and on which case."""


def register_all(register: Register) -> None:
    """Each with its check, finding and case."""
    for fault, check, finding, case in FAULTS:
        register.fault(
            f"transformer_{fault.__name__}", fault, check=check, finding=finding, case=case
        )
