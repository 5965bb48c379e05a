"""Encoder and decoder, as in 'Attention is all you need', in small."""

from __future__ import annotations

from typing import Any

from tinytorch import Tensor, nn

from .blocks import TransformerBlock, make_norm
from .initial import init_transformer
from .positions import make_positions


class EncoderDecoder(nn.Module):
    """source (B, S) and target (B, T) ids -> logits (B, T, vocab) of the token after each target.

    Both share one token embedding. The decoder's blocks are causal and attend to the encoder's
    output. padding: the id that fills short sequences up; no position attends to it. init: see
    `initial`. options: those of `TransformerBlock`.
    """

    def __init__(
        self,
        vocab: int,
        context: int,
        layers: int,
        heads: int,
        width: int,
        *,
        padding: int | None = None,
        positions: str = "sinusoidal",
        init: str = "scaled",
        **options: Any,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.token_embedding = nn.Embedding(vocab, width)
        self.positions = make_positions(positions, context, width)
        options["rotary"] = positions == "rotary"
        self.encoder = nn.ModuleList(
            TransformerBlock(width, heads, **options) for _ in range(layers)
        )
        self.decoder = nn.ModuleList(
            TransformerBlock(width, heads, causal=True, cross=True, **options)
            for _ in range(layers)
        )
        norm = options.get("norm", "layer")
        self.encoder_norm = make_norm(norm, width)
        self.decoder_norm = make_norm(norm, width)
        self.head = nn.Linear(width, vocab, bias=False)
        init_transformer(self, 3 * layers, init)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(target, self.encode(source), self._padded(source))

    def encode(self, source: Tensor) -> Tensor:
        """source (B, S) -> memory (B, S, C)."""
        padded = self._padded(source)
        x = self._embedded(source)
        for block in self.encoder:
            x = block(x, key_padding_mask=padded)
        return self.encoder_norm(x)

    def decode(self, target: Tensor, memory: Tensor, memory_padded: Tensor | None) -> Tensor:
        """target (B, T), memory (B, S, C), its padding (B, S) -> logits (B, T, vocab)."""
        padded = self._padded(target)
        x = self._embedded(target)
        for block in self.decoder:
            x = block(
                x, memory, key_padding_mask=padded, memory_padding_mask=memory_padded
            )  # (B, T, C)
        return self.head(self.decoder_norm(x))

    def _embedded(self, ids: Tensor) -> Tensor:
        x = self.token_embedding(ids)  # (B, T, C)
        return x if self.positions is None else self.positions(x)

    def _padded(self, ids: Tensor) -> Tensor | None:
        return None if self.padding is None else ids == self.padding
