"""The one source of randomness: a numpy generator that `manual_seed` starts anew."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Start the default generator anew. The same seed gives the same numbers."""
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def generator() -> np.random.Generator:
    """The default generator: initial weights, dropout masks and shuffles are drawn from it."""
    return _generator
