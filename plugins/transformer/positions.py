"""Position embeddings, learned or sinusoidal, added to the token embeddings."""

from __future__ import annotations

import numpy as np

from tinytorch import Tensor, nn

KINDS = ("learned", "sinusoidal", "rotary", "none")
"""Rotary positions act inside the attention (see `rotary`): nothing is added to the tokens."""


class LearnedPositions(nn.Module):
    """Adds row t of a trained table to position t: x (B, T, C), T up to `context`."""

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.zeros((context, width), np.float32))

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        return x + self.weight[start : start + x.shape[-2]]  # (B, T, C) + (T, C)


class SinusoidalPositions(nn.Module):
    """Adds sin(t w_i) to the even channels and cos(t w_i) to the odd ones, w_i = 10000^(-2 i / C).

    Vaswani et al. 2017, section 3.5. Nothing is trained.
    """

    table: Tensor

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        frequencies = 10000.0 ** (-np.arange(0, width, 2) / width)  # (C/2,)
        angles = np.arange(context)[:, None] * frequencies  # (context, C/2)
        table = np.empty((context, 2 * len(frequencies)))
        table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
        table = table[:, :width].astype(np.float32)
        self.register_buffer("table", Tensor(table), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        return x + self.table[start : start + x.shape[-2]]  # (B, T, C) + (T, C)


def make_positions(kind: str, context: int, width: int) -> nn.Module | None:
    """None where nothing is added. Raises ValueError for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"positions is {kind!r}; it must be one of {', '.join(KINDS)}")
    if kind == "learned":
        return LearnedPositions(context, width)
    if kind == "sinusoidal":
        return SinusoidalPositions(context, width)
    return None
