"""Multi-head attention as a layer, of a sequence to itself or to another, with a cache."""

from __future__ import annotations

import numpy as np

import tinytorch
from tinytorch import Tensor, nn

from .attention import attention
from .cache import KeyValues
from .packed import packed_attention
from .rotary import rotary


class MultiHeadAttention(nn.Module):
    """x (B, T, C) attends to itself, or with `cross` to memory (B, S, C): (B, T, C).

    heads: C is divided among them. causal: position t sees positions up to t only.
    rotary: turn queries and keys by their positions (not with `cross`). dropout: of the
    attention probabilities, in train mode.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        bias: bool = True,
        causal: bool = False,
        cross: bool = False,
        rotary: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided among {heads} heads")
        if rotary and (cross or width // heads % 2):
            raise ValueError(
                "rotary positions need self-attention and heads of even width; "
                f"got cross={cross}, width {width}, {heads} heads"
            )
        self.heads = heads
        self.causal = causal
        self.cross = cross
        self.rotary = rotary
        self.dropout = dropout
        if cross:
            self.query = nn.Linear(width, width, bias=bias)
            self.key_value = nn.Linear(width, 2 * width, bias=bias)
        else:
            self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width, bias=bias)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """attn_mask: as of the op `attention`. key_padding_mask: (B, S), True is padding.

        cache: keys and values of the positions before x; those of x are added to it.
        """
        if self.cross != (memory is not None):
            raise ValueError(
                "cross-attention needs the memory it attends to, self-attention takes none"
            )
        dropping = self.training and self.dropout > 0
        if not (self.cross or self.rotary or dropping or attn_mask is not None or cache):
            qkv = self.qkv(x)  # (B, T, 3 C)
            y = packed_attention(qkv, key_padding_mask, heads=self.heads, is_causal=self.causal)
            return self.proj(y)  # (B, T, C)
        q, k, v = self._split(x, memory)  # (B, H, T, D), (B, H, S, D), (B, H, S, D)
        if self.rotary:
            start = 0 if cache is None else cache.length
            positions = Tensor(np.arange(start, start + x.shape[-2]))
            q, k = rotary(q, positions), rotary(k, positions)
        if cache is not None and not self.cross:
            k, v = cache.append(k, v)
        dropped = None
        if dropping:
            shape = (*q.shape[:-1], k.shape[-2])  # (B, H, T, S)
            kept = tinytorch.random.generator().random(shape, dtype=np.float32) >= self.dropout
            dropped = Tensor(kept)
        y = attention(
            q,
            k,
            v,
            attn_mask,
            key_padding_mask,
            dropped,
            is_causal=self.causal,
            dropout_p=self.dropout if dropping else 0.0,
        )  # (B, H, T, D)
        return self.proj(self._merged(y))  # (B, T, C)

    def _split(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        if memory is None:
            qkv = self._in_heads(self.qkv(x), 3)  # (B, T, 3, H, D)
            q, k, v = (qkv[..., i, :, :].transpose(-2, -3) for i in range(3))
            return q, k, v
        q = self._in_heads(self.query(x), 1)[..., 0, :, :].transpose(-2, -3)
        kv = self._in_heads(self.key_value(memory), 2)  # (B, S, 2, H, D)
        k, v = (kv[..., i, :, :].transpose(-2, -3) for i in range(2))
        return q, k, v

    def _in_heads(self, x: Tensor, parts: int) -> Tensor:
        """(B, T, parts C) -> (B, T, parts, H, D)."""
        *lead, c = x.shape
        return x.reshape(*lead, parts, self.heads, c // (parts * self.heads))

    def _merged(self, y: Tensor) -> Tensor:
        """(B, H, T, D) -> (B, T, C)."""
        y = y.transpose(-2, -3)  # (B, T, H, D)
        return y.reshape(*y.shape[:-2], -1)
