"""Rotary positions: queries and keys are turned by an angle that grows with their position."""

from __future__ import annotations

import numpy as np

from tinytorch import op


@op
def rotary(x, positions, base: float = 10000.0):
    """Turn the pairs (x[i], x[i + D/2]) of x (..., T, D) by positions (T,) times base^(-2 i / D).

    positions: integers. The pullback turns back: a rotation's transpose is its inverse.
    Su et al. 2021, with the halves of a head paired as in GPT-NeoX.
    """
    d = x.shape[-1]
    if d % 2:
        raise ValueError(f"rotary positions need an even last axis, got {d}")
    frequencies = base ** (-np.arange(0, d, 2) / d)  # (D/2,)
    angles = positions[:, None] * frequencies  # (T, D/2)
    real = x.real.dtype
    cos, sin = np.cos(angles).astype(real), np.sin(angles).astype(real)

    def turn(z, sin):
        a, b = z[..., : d // 2], z[..., d // 2 :]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    return turn(x, sin), lambda g: (turn(g, -sin), None)
