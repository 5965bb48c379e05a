"""The transformer block: attention and feed-forward, each with a norm and a residual branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

from .cache import KeyValues
from .heads import MultiHeadAttention

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}


class FeedForward(nn.Module):
    """Two layers with an activation between them: (..., C) -> (..., hidden) -> (..., C).

    activation: 'gelu', 'gelu_tanh', 'relu', or 'swiglu' (silu(x A) * x B, Shazeer 2020), whose
    first layer holds A and B together.
    """

    def __init__(
        self, width: int, hidden: int, activation: str = "gelu", bias: bool = True
    ) -> None:
        super().__init__()
        if activation not in (*ACTIVATIONS, "swiglu"):
            raise ValueError(
                f"activation is {activation!r}; it must be {', '.join(ACTIVATIONS)} or swiglu"
            )
        self.activation = activation
        gates = 2 if activation == "swiglu" else 1
        self.up = nn.Linear(width, gates * hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)  # (..., hidden), for swiglu (..., 2 hidden)
        if self.activation == "swiglu":
            gate, h = h.chunk(2, dim=-1)  # (..., hidden) each
            h = F.silu(gate) * h
        else:
            h = ACTIVATIONS[self.activation](h)
        return self.down(h)


def make_norm(kind: str, width: int, bias: bool = True) -> nn.Module:
    """'layer' or 'rms'."""
    if kind == "layer":
        return nn.LayerNorm(width, bias=bias)
    if kind == "rms":
        return nn.RMSNorm(width, eps=1e-5)
    raise ValueError(f"norm is {kind!r}; it must be 'layer' or 'rms'")


class TransformerBlock(nn.Module):
    """x (B, T, C) -> (B, T, C): self-attention, with `cross` attention to a memory, feed-forward.

    norm_first: x + f(norm(x)) (as in GPT-2), otherwise norm(x + f(x)) (as in the first paper).
    hidden: width of the feed-forward, 4 C if None.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int | None = None,
        causal: bool = False,
        cross: bool = False,
        rotary: bool = False,
        norm: str = "layer",
        norm_first: bool = True,
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": bias, "dropout": dropout}
        self.norm_first = norm_first
        self.norm1 = make_norm(norm, width, bias)
        self.attn = MultiHeadAttention(width, heads, causal=causal, rotary=rotary, **options)
        if cross:
            self.norm_cross = make_norm(norm, width, bias)
            self.cross_attn = MultiHeadAttention(width, heads, cross=True, **options)
        self.norm2 = make_norm(norm, width, bias)
        self.mlp = FeedForward(width, hidden or 4 * width, activation, bias)
        self.drop = nn.Dropout(dropout)
        self.cross = cross

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        key_padding_mask: Tensor | None = None,
        memory_padding_mask: Tensor | None = None,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """key_padding_mask: (B, T) of x; memory_padding_mask: (B, S) of the memory."""
        x = self._branch(
            x,
            self.norm1,
            lambda h: self.attn(h, key_padding_mask=key_padding_mask, cache=cache),
        )
        if self.cross:
            x = self._branch(
                x,
                self.norm_cross,
                lambda h: self.cross_attn(h, memory, key_padding_mask=memory_padding_mask),
            )
        return self._branch(x, self.norm2, self.mlp)

    def _branch(self, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
        if self.norm_first:
            return x + self.drop(f(norm(x)))
        return norm(x + self.drop(f(x)))
