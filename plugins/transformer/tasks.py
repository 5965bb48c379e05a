"""Small tasks that can be learned to the end: copying, reversing, counting. Generated, seeded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING, BEGIN, END = 0, 1, 2
FIRST_SYMBOL = 3


class CopiedSequences:
    """Sequences of 1 to `length` symbols, to be copied or (`order: reversed`) turned around.

    A sample is (source (length,), target (length + 1,), next (length + 1,)), int64: the target
    begins with BEGIN, `next` is the target one position on and ends with END, and PADDING fills
    all three up. Ids: 0 padding, 1 begin, 2 end, then `symbols` symbols.
    """

    def __init__(
        self,
        order: str = "same",
        symbols: int = 8,
        length: int = 6,
        shortest: int = 2,
        samples: int = 512,
        seed: int = 0,
    ) -> None:
        if order not in ("same", "reversed"):
            raise ValueError(f"order is {order!r}; it must be 'same' or 'reversed'")
        if not 1 <= shortest <= length:
            raise ValueError(f"shortest is {shortest}; it must be from 1 to length, {length}")
        rng = np.random.default_rng(seed)
        lengths = rng.integers(shortest, length + 1, samples)
        self.samples = [rng.integers(FIRST_SYMBOL, FIRST_SYMBOL + symbols, int(n)) for n in lengths]
        self.order = order
        self.length = length
        self.vocab = FIRST_SYMBOL + symbols
        self.source = f"generated sequences to be {'copied' if order == 'same' else order}"

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        symbols = self.samples[i]
        wanted = symbols if self.order == "same" else symbols[::-1]
        return (
            _filled(symbols, self.length),
            _filled([BEGIN, *wanted], self.length + 1),
            _filled([*wanted, END], self.length + 1),
        )


class MostFrequentSymbol:
    """Which symbol occurs most often? A sample is (ids (length,), class), int64.

    Ids: 0 padding, then 1 to `symbols`; the class is the id less one. There is always one winner.
    """

    def __init__(
        self,
        symbols: int = 4,
        length: int = 9,
        shortest: int = 4,
        samples: int = 256,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.samples: list[tuple[NDArray[Any], int]] = []
        while len(self.samples) < samples:
            ids = rng.integers(1, symbols + 1, int(rng.integers(shortest, length + 1)))
            counts = np.bincount(ids, minlength=symbols + 1)[1:]
            if (counts == counts.max()).sum() == 1:
                self.samples.append((_filled(ids, length), int(counts.argmax())))
        self.vocab = symbols + 1
        self.source = "generated sequences, their most frequent symbol"

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[NDArray[Any], int]:
        return self.samples[i]


def _filled(ids: Any, length: int) -> NDArray[Any]:
    """ids, and PADDING up to `length`."""
    result = np.full(length, PADDING, np.int64)
    result[: len(ids)] = ids
    return result
