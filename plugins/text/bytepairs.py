"""Byte-level byte-pair encoding, trained on the text itself, through the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

BYTES = 256


class BytePairTokenizer:
    """The specials get the first ids; every text can be encoded, since all 256 bytes are tokens.

    vocab_size counts specials and bytes. Raises DataError without the `tokenizers` extra, and when
    vocab_size is too small to hold them.
    """

    def __init__(self, texts: Sequence[str], vocab_size: int, specials: Sequence[str] = ()) -> None:
        if vocab_size < BYTES + len(specials):
            raise DataError(
                f"vocab_size is {vocab_size}; byte-level pairs need at least "
                f"{BYTES + len(specials)}: 256 bytes and {len(specials)} special texts"
            )
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        except ImportError as error:
            raise DataError(
                "tokenizer: bpe needs the package tokenizers, which is not installed: "
                "pip install 'pytest-gradcheck[tokenizers]'"
            ) from error
        self.specials = tuple(specials)
        self._inner: Any = Tokenizer(models.BPE())
        self._inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._inner.decoder = decoders.ByteLevel()
        self._inner.train_from_iterator(
            texts,
            trainers.BpeTrainer(
                vocab_size=vocab_size,
                special_tokens=list(specials),
                initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                show_progress=False,
            ),
        )

    def __len__(self) -> int:
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> NDArray[Any]:
        """(n,) int64."""
        return np.array(self._inner.encode(text).ids, np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        return str(self._inner.decode([int(i) for i in ids], skip_special_tokens=False))

    def id_of(self, special: str) -> int:
        """Return the id of a special text. Raise ValueError for any other text."""
        return self.specials.index(special)
