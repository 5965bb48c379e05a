"""Keys and values of the positions that a model has already seen, for generation."""

from __future__ import annotations

from tinytorch import Tensor, cat


class KeyValues:
    """Of one layer: keys and values (B, H, S, D) of the S positions so far."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def __bool__(self) -> bool:
        return True

    @property
    def length(self) -> int:
        """S."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of the next positions, (B, H, T, D); returns all, (B, H, S + T, D)."""
        if self.keys is not None and self.values is not None:
            keys = cat([self.keys, keys], dim=-2)
            values = cat([self.values, values], dim=-2)
        self.keys, self.values = keys, values
        return keys, values
