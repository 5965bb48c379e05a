"""A tiny transformer in tinytorch with a switch for each classical fault of a layer."""

from __future__ import annotations

import math

import numpy as np

from tinytorch import Tensor, nn, no_grad
from tinytorch.nn import functional as F


class Attention(nn.Module):
    """Self-attention, (B, T, C) -> (B, T, C), `heads` heads. fault: see `TinyGPT`."""

    def __init__(self, width: int, heads: int, fault: str | None) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads = heads
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        d = c // self.heads
        parts = self.qkv(x).reshape(b, t, 3, self.heads, d).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts[2]  # (B, H, T, D)
        scale = 1.0 if self.fault == "no_scale" else 1 / math.sqrt(d)
        scores = q @ k.transpose(-2, -1) * scale  # (B, H, T, T)
        ahead = {"mask_off_by_one": 2, "no_mask": t}.get(self.fault or "", 1)
        hidden = np.triu(np.ones((t, t), bool), k=ahead)
        scores = scores.masked_fill(Tensor(hidden), -1e9)
        dim = {"softmax_over_queries": -2, "softmax_over_batch": 0}.get(self.fault or "", -1)
        y = F.softmax(scores, dim=dim) @ v
        y = y.permute(0, 2, 1, 3).reshape(b, t, c)
        if self.fault == "attention_detached":
            y = y.detach()
        return self.out(y)


class TinyGPT(nn.Module):
    """ids (B, T) -> logits (B, T, V). `fault` switches one of the classical ones on."""

    def __init__(
        self, vocab: int = 11, width: int = 16, heads: int = 2, context: int = 8,
        fault: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tokens = nn.Embedding(vocab, width)
        self.positions = nn.Parameter(
            np.random.default_rng(1).normal(0, 0.1, (context, width)).astype("f4")
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, fault)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(width, vocab, bias=False)
        self.fault = fault
        if fault == "large_head":
            self.head.weight.data[...] *= 20

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        if self.fault != "positions_unused":
            weight = 0.0 if self.fault == "positions_times_zero" else 1.0
            x = x + self.positions[: ids.shape[1]] * weight
        x = x + self.attention(self.norm1(x))
        h = self.up(self.norm2(x))
        if self.fault == "dead_relu":
            h = h - 1000.0
        if self.fault == "forward_without_grad":
            with no_grad():
                h = self.down(h.relu())
        else:
            h = self.down(h.relu())
        p = 0.1
        training = self.training or self.fault == "dropout_in_eval"
        return self.head(x + F.dropout(h, p, training))
