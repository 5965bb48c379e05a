"""Parts of the sentences that gradcheck writes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CLOSE = 0.6
"""How alike a suggested name must be: difflib's default, which allows for one or two typos."""

LONGEST_NAME = 60
"""A longer text is not a misspelt name, and comparing it takes long."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is probably a typo of; None where none is close."""
    if len(name) > LONGEST_NAME:
        return None
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=CLOSE)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A question such as "did you mean 'relu'?", or `otherwise` where no known name is close."""
    close = closest(name, known)
    return otherwise if close is None else f"did you mean {close!r}?"


def one_line(error: BaseException) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split())
