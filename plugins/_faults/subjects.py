"""Small healthy models, written as a user would, for faults to be planted in.

B stands for the batch, T for time, C for channels, V for the alphabet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinytorch
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

VOCAB = 28


class Residual(nn.Module):
    """Digits (B, 1, 8, 8) -> logits (B, 10), with a residual branch, a norm and dropout."""

    def __init__(self, width: int = 12, dropout: float = 0.0, frozen: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.norm = nn.LayerNorm(width)
        self.branch = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, 10)
        for p in self.branch.parameters() if frozen else ():
            p.requires_grad = False

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x.reshape(len(x), 64))  # (B, C)
        h = h + self.transformed(self.norm(h))
        return self.head(h)  # (B, 10)

    def transformed(self, h: Tensor) -> Tensor:
        return self.drop(self.branch(h).relu())


class Tied(nn.Module):
    """ids (B, T) -> logits (B, T, V); the head is the embedding's own weight."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, width)
        self.mix = nn.Linear(width, width)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.mix(self.embedding(ids)).tanh()  # (B, T, C)
        return x @ self.output_weight().transpose(0, 1)  # (B, T, V)

    def output_weight(self) -> Tensor:
        return self.embedding.weight


class Recurrent(nn.Module):
    """ids (B, T) -> logits (B, T, V), an Elman network with its loop written out."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.head = nn.Linear(width, VOCAB)
        self.width = width

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)  # (B, T, C)
        h = Tensor(np.zeros((ids.shape[0], self.width), x.dtype))  # (B, C)
        states = []
        for t in range(ids.shape[1]):
            h = self.carried(h)
            h = (self.outer(x[:, t]) + self.inner(h)).tanh()
            states.append(h)
        return self.head(tinytorch.stack(states, dim=1))  # (B, T, V)

    def carried(self, h: Tensor) -> Tensor:
        return h


class Attention(nn.Module):
    """ids (B, T) -> logits (B, T, V): one block of causal attention, of plain operations."""

    def __init__(
        self, width: int = 16, heads: int = 2, context: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = heads
        self.embedding = nn.Embedding(VOCAB, width)
        self.positions = nn.Parameter(0.02 * np.random.standard_normal((context, width)))
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCAB)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.located(self.embedding(ids))  # (B, T, C)
        x = x + self.attended(self.norm1(x))
        x = x + self.fed_forward(self.norm2(x))
        return self.head(self.norm(x))  # (B, T, V)

    def located(self, x: Tensor) -> Tensor:
        return x + self.positions[: x.shape[1]]

    def attended(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (self.in_heads(f(x)) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / (c // self.heads) ** 0.5  # (B, H, T, T)
        later = np.triu(np.ones((t, t), bool), k=1)
        scores = tinytorch.where(Tensor(later), Tensor(np.array(-np.inf, x.dtype)), scores)
        weights = F.softmax(scores, dim=-1)
        y = weights @ v  # (B, H, T, D)
        y = y.transpose(1, 2).reshape(b, t, c)
        return self.drop(self.proj(y))

    def in_heads(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        return x.reshape(b, t, self.heads, c // self.heads).transpose(1, 2)  # (B, H, T, D)

    def fed_forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(x).relu())


class AttentionTwin(Attention):
    """The same once more, by its own hand: no method of `Attention` but the constructor."""

    def forward(self, ids: Tensor) -> Tensor:
        t = ids.shape[1]
        x = self.embedding(ids) + self.positions[:t]
        width = x.shape[-1] // self.heads
        h = self.norm1(x)
        outputs = []
        for k in range(self.heads):
            part = slice(k * width, (k + 1) * width)
            q, key, v = (f(h)[:, :, part] for f in (self.query, self.key, self.value))
            scores = tinytorch.einsum("bid,bjd->bij", q, key) * (1 / width**0.5)
            hidden = Tensor(np.where(np.tri(t, dtype=bool), 0.0, -1e30).astype(x.dtype))
            outputs.append(tinytorch.einsum("bij,bjd->bid", F.softmax(scores + hidden, -1), v))
        x = x + self.proj(tinytorch.cat(outputs, dim=-1))
        x = x + self.down(F.relu(self.up(self.norm2(x))))
        return self.head(self.norm(x))


class PastMean(nn.Module):
    """ids (B, T) -> logits (B, T, V) from the mean of the embeddings up to each position."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, width)
        self.head = nn.Linear(width, VOCAB)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.averaged(self.embedding(ids)))

    def averaged(self, x: Tensor) -> Tensor:
        count = np.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None]  # (T, 1)
        return x.cumsum(1) / Tensor(count)


class Normalised(nn.Module):
    """Iris (B, 4) -> logits (B, 3), with batch norm."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.first(x)).tanh())


class OneNumber(nn.Module):
    """Digits (B, 1, 8, 8) -> one number each (B, 1)."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x.reshape(len(x), 64)).tanh())


def row_norm(x: Tensor) -> Tensor:
    """The length of every row, its gradient finite at 0: sqrt(sum(x²) + tiny)."""
    return ((x * x).sum(-1) + 1e-12).sqrt()


MODELS: dict[str, Any] = {
    "fault_residual": Residual,
    "fault_tied": Tied,
    "fault_recurrent": Recurrent,
    "fault_attention": Attention,
    "fault_attention_twin": AttentionTwin,
    "fault_past_mean": PastMean,
    "fault_normalised": Normalised,
    "fault_one_number": OneNumber,
}
