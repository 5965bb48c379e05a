"""The same GPT in PyTorch, parameter for parameter: the reference of cases and of benchmarks.

Imports torch; registered for `framework: pytorch`, and loaded when a case asks for it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Causal self-attention, one product for queries, keys and values."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Any) -> Any:
        b, t, c = x.shape
        q, k, v = (
            z.view(b, t, self.heads, c // self.heads).transpose(1, 2)  # (B, H, T, D)
            for z in self.qkv(x).split(c, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        return self.proj(y.transpose(1, 2).reshape(b, t, c))


class FeedForward(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int, approximate: str, bias: bool) -> None:
        super().__init__()
        self.approximate = approximate
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Any) -> Any:
        return self.down(F.gelu(self.up(x), approximate=self.approximate))


class Block(nn.Module):
    """Pre-norm."""

    def __init__(self, width: int, heads: int, approximate: str, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, bias=bias)
        self.attn = Attention(width, heads, bias)
        self.norm2 = nn.LayerNorm(width, bias=bias)
        self.mlp = FeedForward(width, 4 * width, approximate, bias)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Positions(nn.Module):
    """A learned table."""

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(context, width))

    def forward(self, x: Any) -> Any:
        return x + self.weight[: x.shape[1]]


class GPT(nn.Module):
    """ids (B, T) -> logits (B, T, vocab). Learned positions, pre-norm, GELU."""

    def __init__(
        self,
        vocab: int,
        context: int,
        layers: int,
        heads: int,
        width: int,
        *,
        tied: bool = False,
        bias: bool = True,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        approximate = {"gelu": "none", "gelu_tanh": "tanh"}[activation]
        self.token_embedding = nn.Embedding(vocab, width)
        self.positions = Positions(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, approximate, bias) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=bias)
        self.head = nn.Linear(width, vocab, bias=False)
        if tied:
            self.head.weight = self.token_embedding.weight
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                ends_branch = name.endswith(("proj.weight", "down.weight"))
                std = 0.02 / math.sqrt(2 * layers) if ends_branch else 0.02
                nn.init.normal_(parameter, 0.0, std)

    def forward(self, ids: Any) -> Any:
        x = self.positions(self.token_embedding(ids))  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # (B, T, vocab)
