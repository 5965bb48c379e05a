"""GPT with attention as in the textbook, one small op after the other: a reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinytorch import Tensor, matmul, nn, softmax, where

from .gpt import GPT


class TextbookAttention(nn.Module):
    """Causal self-attention of x (B, T, C), from matmul, where and softmax."""

    def __init__(self, qkv: nn.Linear, proj: nn.Linear, heads: int) -> None:
        super().__init__()
        self.qkv = qkv
        self.proj = proj
        self.heads = heads

    def forward(self, x: Tensor, **nothing: Any) -> Tensor:
        *lead, t, c = x.shape
        d = c // self.heads
        q, k, v = (
            z.reshape(*lead, t, self.heads, d).transpose(-2, -3)  # (B, H, T, D)
            for z in self.qkv(x).chunk(3, dim=-1)
        )
        scores = matmul(q, k.transpose(-1, -2)) / math.sqrt(d)  # (B, H, T, T)
        seen = Tensor(np.tril(np.ones((t, t), np.bool_)))
        scores = where(seen, scores, Tensor(np.array(-np.inf, x.dtype)))
        y = matmul(softmax(scores, dim=-1), v)  # (B, H, T, D)
        return self.proj(y.transpose(-2, -3).reshape(*lead, t, c))


class TextbookGPT(GPT):
    """The parameters of `GPT` under the same names; its attention is `TextbookAttention`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if options.get("positions") == "rotary" or options.get("dropout"):
            raise ValueError("the textbook GPT has neither rotary positions nor dropout")
        super().__init__(*args, **options)
        blocks: Any = self.blocks
        for block in blocks:
            fused = block.attn
            block.attn = TextbookAttention(fused.qkv, fused.proj, fused.heads)
