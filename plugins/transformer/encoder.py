"""An encoder that reads a whole sequence, both ways, and names its class."""

from __future__ import annotations

from typing import Any

from tinytorch import Tensor, nn

from .blocks import TransformerBlock, make_norm
from .initial import init_transformer
from .positions import make_positions


class EncoderClassifier(nn.Module):
    """ids (B, T), T up to `context` -> logits (B, classes).

    The classes are predicted from the mean of the positions. padding: the id that fills short
    sequences up; such positions are neither attended to nor averaged. options: those of
    `TransformerBlock`.
    """

    def __init__(
        self,
        vocab: int,
        context: int,
        layers: int,
        heads: int,
        width: int,
        classes: int,
        *,
        padding: int | None = None,
        positions: str = "learned",
        init: str = "scaled",
        **options: Any,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.token_embedding = nn.Embedding(vocab, width)
        self.positions = make_positions(positions, context, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, rotary=positions == "rotary", **options)
            for _ in range(layers)
        )
        self.norm = make_norm(options.get("norm", "layer"), width)
        self.head = nn.Linear(width, classes)
        init_transformer(self, 2 * layers, init)

    def forward(self, ids: Tensor) -> Tensor:
        padded = None if self.padding is None else ids == self.padding  # (B, T)
        x = self.token_embedding(ids)  # (B, T, C)
        if self.positions is not None:
            x = self.positions(x)
        for block in self.blocks:
            x = block(x, key_padding_mask=padded)  # (B, T, C)
        return self.head(mean_of_kept(self.norm(x), padded))  # (B, classes)


def mean_of_kept(x: Tensor, padded: Tensor | None) -> Tensor:
    """The mean of x (B, T, C) over the positions that are not padding: (B, C)."""
    if padded is None:
        return x.mean(dim=-2)
    kept = Tensor((~padded.data)[..., None].astype(x.dtype))  # (B, T, 1)
    count = Tensor(kept.data.sum(axis=-2))  # (B, 1)
    return (x * kept).sum(dim=-2) / count
