"""A text as training samples: windows of ids, and the same windows one id further on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError


class TextWindows:
    """Sample i: ids[s : s + context] and ids[s + 1 : s + context + 1], s = i * stride; int64.

    ids: the whole split, (n,). source: one line that says where the text came from. tokenizer:
    `encode`, `decode` and len(). held_out: makes the dataset of the validation split.
    """

    def __init__(
        self,
        ids: NDArray[Any],
        tokenizer: Any,
        *,
        context: int,
        stride: int,
        source: str,
        split: str,
        held_out: Callable[[], TextWindows] | None = None,
    ) -> None:
        if context < 1 or stride < 1:
            raise DataError(f"context is {context} and stride {stride}; both must be at least 1")
        if len(ids) <= context:
            raise DataError(
                f"the {split} split has {len(ids)} ids, too few for one window of {context} and "
                "its target; lower `context:` or take a longer text"
            )
        self.ids = ids
        self.tokenizer = tokenizer
        self.context = context
        self.stride = stride
        self.source = source
        self.split = split
        self._held_out = held_out

    @property
    def vocab(self) -> int:
        """How many different ids there are."""
        return len(self.tokenizer)

    def __len__(self) -> int:
        return (len(self.ids) - self.context - 1) // self.stride + 1

    def __getitem__(self, i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        start = (i % len(self)) * self.stride
        window = self.ids[start : start + self.context + 1]  # (context + 1,)
        return window[:-1], window[1:]

    def encode(self, text: str) -> NDArray[Any]:
        """(n,) int64."""
        return np.asarray(self.tokenizer.encode(text))

    def decode(self, ids: Any) -> str:
        return str(self.tokenizer.decode(ids))

    def validation(self) -> TextWindows:
        """The held-out part of the same text, with the same ids."""
        if self._held_out is None:
            raise DataError(f"the {self.split} split has no validation part; use `split: train`")
        return self._held_out()
