"""Small pieces of wording that several checks share."""

from __future__ import annotations

import math
from collections.abc import Sequence


def some(names: Sequence[str], count: int = 4) -> str:
    """'a, b, c, ... (38)': the first few of many names."""
    if len(names) <= count:
        return ", ".join(names)
    return f"{', '.join(names[: count - 1])}, ... ({len(names)})"


def number(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return "none"
    return f"{value:.3g}"


def apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart."""
    for digits in range(3, 17):
        pair = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if pair[0] != pair[1]:
            break
    return pair


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def times(ratio: float) -> str:
    """'30x': one significant digit of a ratio above 1."""
    power = 10.0 ** math.floor(math.log10(ratio))
    return f"{round(ratio / power) * power:.0f}x"
