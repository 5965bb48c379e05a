"""GPT: a stack of causal blocks that predicts the next token at every position."""

from __future__ import annotations

from typing import Any

from tinytorch import Tensor, nn

from .blocks import TransformerBlock, make_norm
from .cache import KeyValues
from .generation import generate
from .initial import init_transformer
from .positions import make_positions


class GPT(nn.Module):
    """ids (B, T), T up to `context` -> logits (B, T, vocab) of the token after each position.

    tied: the output layer's weight is the token embedding's. positions: 'learned', 'sinusoidal',
    'rotary' or 'none'. init: 'scaled' or 'gpt2', see `initial`. options: those of
    `TransformerBlock` (hidden, norm, norm_first, activation, dropout, bias).
    """

    def __init__(
        self,
        vocab: int,
        context: int,
        layers: int,
        heads: int,
        width: int,
        *,
        positions: str = "learned",
        tied: bool = False,
        init: str = "scaled",
        **options: Any,
    ) -> None:
        super().__init__()
        self.vocab = vocab
        self.context = context
        self.token_embedding = nn.Embedding(vocab, width)
        self.positions = make_positions(positions, context, width)
        self.drop = nn.Dropout(options.get("dropout", 0.0))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, causal=True, rotary=positions == "rotary", **options)
            for _ in range(layers)
        )
        norm_first = options.get("norm_first", True)
        self.norm = (
            make_norm(options.get("norm", "layer"), width, options.get("bias", True))
            if norm_first
            else None
        )
        self.head = nn.Linear(width, vocab, bias=False)
        if tied:
            self.head.weight = self.token_embedding.weight
        init_transformer(self, 2 * layers, init)

    def forward(self, ids: Tensor, cache: list[KeyValues] | None = None) -> Tensor:
        """With a cache, ids are the tokens that follow those already in it."""
        start = cache[0].length if cache else 0
        t = ids.shape[-1]
        if start + t > self.context:
            raise ValueError(
                f"{start + t} positions are more than the context of {self.context}; "
                "pass the last ones only"
            )
        x = self.token_embedding(ids)  # (B, T, C)
        if self.positions is not None:
            x = self.positions(x, start)
        x = self.drop(x)
        for i, block in enumerate(self.blocks):
            x = block(x, cache=cache[i] if cache else None)  # (B, T, C)
        if self.norm is not None:
            x = self.norm(x)
        return self.head(x)  # (B, T, vocab)

    def new_cache(self) -> list[KeyValues]:
        """An empty cache, for `forward`: one entry a layer."""
        return [KeyValues() for _ in self.blocks]

    def generate(self, ids: Any, count: int, **options: Any) -> Any:
        """`count` more ids after `ids` (1-d); see `generation.generate` for the options."""
        return generate(self, ids, count, **options)
