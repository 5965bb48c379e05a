"""What is wrong with a case, before anybody knows the line."""

from __future__ import annotations

from dataclasses import dataclass

Location = tuple[str | int, ...]
"""A path in a case: keys, and indices of lists."""


@dataclass(frozen=True)
class Problem:
    """path: what it is about; () for the whole case. of_key: the key is wrong, not its value."""

    path: Location
    sentence: str
    of_key: bool = False
