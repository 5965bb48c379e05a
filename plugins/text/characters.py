"""One id for every character, in the order of their code points; special texts get one id each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError


class CharacterTokenizer:
    """Ids 0, 1, ... for the specials, then for the characters. Ids are int64.

    Raises DataError when a text holds a character that is not in the vocabulary.
    """

    def __init__(self, characters: Iterable[str], specials: Sequence[str] = ()) -> None:
        self.specials = tuple(specials)
        self.tokens: list[str] = [*self.specials, *sorted(set(characters))]
        points = np.array([ord(c) for c in self.tokens[len(self.specials) :]], np.int64)
        self._table = np.full(int(points.max(initial=0)) + 1, -1, np.int64)
        self._table[points] = np.arange(len(self.specials), len(self.tokens))
        self._split = re.compile("|".join(f"({re.escape(s)})" for s in self.specials))

    @classmethod
    def of(cls, text: str, specials: Sequence[str] = ()) -> CharacterTokenizer:
        """With the characters of `text`, not counting those of the specials in it."""
        characters: set[str] = set()
        rest = [text]
        for special in specials:
            rest = [part for piece in rest for part in piece.split(special)]
        for piece in rest:
            characters |= set(piece)
        return cls(characters, specials)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> NDArray[Any]:
        """(n,) int64."""
        if not self.specials:
            return self._plain(text)
        parts: list[NDArray[Any]] = []
        for piece in self._split.split(text):
            if not piece:
                continue
            if piece in self.specials:
                parts.append(np.array([self.specials.index(piece)], np.int64))
            else:
                parts.append(self._plain(piece))
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _plain(self, text: str) -> NDArray[Any]:
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
        inside = points < len(self._table)
        ids = np.where(inside, self._table[np.where(inside, points, 0)], -1)
        if ids.size and ids.min() < 0:
            unknown = chr(int(points[np.argmax(ids < 0)]))
            raise DataError(
                f"the character {unknown!r} is not among the {len(self)} tokens of this text; "
                "build the tokenizer from a text that holds it"
            )
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.tokens[int(i)] for i in ids)

    def id_of(self, special: str) -> int:
        """Return the id of a special text. Raise ValueError for any other text."""
        return self.specials.index(special)
