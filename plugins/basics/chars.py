"""Character sequences from a small seeded grammar: next-character prediction without a download."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHABET = " .abcdefghijklmnopqrstuvwxyz"
_WHO = ("the cat", "a dog", "the old man", "my sister", "a small bird", "the queen")
_DOES = ("sees", "likes", "finds", "paints", "follows", "forgets")
_WHAT = ("the sun", "a red ball", "the long road", "an apple", "the sea", "her blue hat")


def sentences(count: int, seed: int) -> str:
    """`count` sentences such as 'the cat finds a red ball. ', the same for the same seed."""
    draw = random.Random(seed)
    return "".join(
        f"{draw.choice(_WHO)} {draw.choice(_DOES)} {draw.choice(_WHAT)}. " for _ in range(count)
    )


class CharSequences:
    """Windows of a generated text. Input (length,) int64 ids, target the same, one further on."""

    def __init__(self, length: int = 16, samples: int = 256, seed: int = 0) -> None:
        self.length = length
        self.source = f"sentences of a generated grammar, seed {seed}"
        text = sentences(2 + samples * length // 16, seed)[: samples * length + 1]
        self.ids = np.array([ALPHABET.index(c) for c in text], np.int64)

    def __len__(self) -> int:
        return (len(self.ids) - 1) // self.length

    def __getitem__(self, i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        start = i * self.length
        return (
            self.ids[start : start + self.length],
            self.ids[start + 1 : start + self.length + 1],
        )
