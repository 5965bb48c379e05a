"""A law that a pullback breaks, and how the cotangents it gives are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.arrays import index_at

ROUNDED, ROUNDED_SINGLE = 1e-12, 1e-4
"""Shares by which float64 and narrower cotangents may differ in any case."""
TINIEST = 1e-300
"""So that zeros agree with zeros."""

Parts = list[Array | None]


@dataclass(frozen=True)
class Breach:
    """A law that a pullback breaks. slot: the input concerned, None for the op as a whole."""

    code: str
    message: str
    slot: int | None = None
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    advice: str | None = None


def copies(values: Sequence[Any]) -> list[Any]:
    return [np.array(v) if isinstance(v, np.ndarray) else v for v in values]


def pulled(pullback: Callable[[Array], Parts], g: Array) -> Parts:
    with np.errstate(all="ignore"):
        return [None if p is None else np.array(p) for p in pullback(g)]


def typical(value: Any) -> float:
    return max(size_of(np.asarray(value)), TINIEST) if isinstance(value, np.ndarray) else 1.0


def size_of(part: Array) -> float:
    finite = np.abs(part[np.isfinite(part)])
    return float(finite.max()) if finite.size else 0.0


def gap_between(
    got: Parts, expected: Parts, relative: float, scales: Sequence[float] | None = None
) -> tuple[int, tuple[int, ...], float, float] | None:
    """(slot, index, got, expected) of the worst difference, or None when all agree."""
    for slot, (part, want) in enumerate(zip(got, expected)):
        if part is None or want is None:
            if (part is None) != (want is None):
                present = part if want is None else want
                if present is not None and np.any(present):
                    return slot, (0,) * present.ndim, 0.0, 0.0
            continue
        if part.shape != want.shape:
            return slot, (0,) * part.ndim, 0.0, 0.0
        if not part.size:
            continue
        scale = size_of(want) if scales is None else scales[slot]
        eps = ROUNDED if part.dtype == np.float64 else ROUNDED_SINGLE
        with np.errstate(all="ignore"):
            apart = np.abs(part - want)
            fine = (apart <= max(relative, eps) * scale + TINIEST) | (part == want)
            fine |= ~np.isfinite(want)
        if not fine.all():
            flat = int(np.argmax(np.where(fine, -1.0, apart)))
            index = index_at(flat, part.shape)
            return slot, index, float(part[index]), float(want[index])
    return None
