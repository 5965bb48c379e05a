"""Whether a leaf is right in a low dtype: its factor, the factors of its parts, and its error."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradcheck.numerics.core.arrays import Array
from gradcheck.numerics.precision.dtypes import EPS
from gradcheck.numerics.precision.projection import AT_ZERO, ZERO, Factor, Pair, parts, whole
from gradcheck.numerics.precision.runs import RESULT, Track

Kind = Literal["factor", "part", "imprecise", "not_finite", "not_zero"]

TIMES_EAGER = 3.0
"""A kernel may be so many times less precise than the reference run eagerly in the same dtype
(FlashAttention's own tests ask for 2, of the largest error)."""
TIMES_ALONE = {"float32": 24.0}
"""Without a reference: how many roundings, of the dtype or of the inputs, an error may be. Sums of
thousands of float32 numbers lose that much."""
USUAL_TIMES = 8.0
"""The same for 16 bits, where sums are float32 inside."""
EAGER_FACTOR = 2.0
"""So many times the factor of the eager reference are excused: it is no fault of the kernel's."""
BLIND = 0.05
"""From this error bar on, nothing was seen of a leaf."""
STANDS_OUT = 2.0
"""A part is the matter where it is so many times further off than the whole."""


@dataclass(frozen=True)
class LowVerdict:
    """What was seen of a leaf.

    kind: what is wrong; None if nothing. factor: of the whole. part: the worst wrong part.
    error: root mean square of the error relative to the right gradient's; eager: the same of the
    eager reference; moved: what rounding the inputs does. zero: the right gradient is zero.
    """

    name: str
    kind: Kind | None
    factor: Factor
    part: Factor | None
    wrong_parts: int
    error: float
    eager: float | None
    moved: float
    zero: bool = False

    @property
    def sees(self) -> float:
        """The smallest wrong factor that would have been noticed."""
        return self.factor.bar

    @property
    def blind(self) -> bool:
        return not self.zero and not self.sees < BLIND


def judge(tracks: Mapping[str, Track], dtype: str) -> list[LowVerdict]:
    """A verdict for each leaf and for the result."""
    sizes = [_rms(p.right for p in t.pairs) for n, t in tracks.items() if n != RESULT]
    largest = max(sizes, default=0.0)
    return [_leaf(name, track, dtype, largest) for name, track in tracks.items()]


def _leaf(name: str, track: Track, dtype: str, largest: float) -> LowVerdict:
    pairs, eps = track.pairs, EPS[dtype]
    nothing = Factor(None, (0, 0), 0.0, np.inf, 0.0)
    if not _finite(pairs):
        excused = track.eager and not _finite(track.eager)
        kind: Kind | None = None if excused else "not_finite"
        return LowVerdict(name, kind, nothing, None, 0, np.inf, None, np.inf)
    size = _rms(p.right for p in pairs)
    off = _rms(p.low - p.right for p in pairs)
    if size <= ZERO * largest or size == 0:
        eager_off = _rms(p.low - p.right for p in track.eager)
        allowed = AT_ZERO * eps * largest + TIMES_EAGER * eager_off
        kind = "not_zero" if off > allowed else None
        return LowVerdict(name, kind, nothing, None, 0, off / (largest or 1.0), None, 0.0, True)
    factor = _excused(whole(pairs, dtype), whole(track.eager, dtype) if track.eager else None)
    wrong = _wrong_parts(pairs, track.eager, dtype)
    error, moved = off / size, _relative(track.moved)
    eager = _relative(track.eager) if track.eager else None
    worst = _worst(wrong)
    kind = None
    if worst and not (factor.wrong and abs(worst.error) < STANDS_OUT * abs(factor.error)):
        kind = "part"
    elif factor.wrong:
        kind = "factor"
    elif error > _allowed(dtype, moved, eager):
        kind = "imprecise"
    return LowVerdict(name, kind, factor, worst, len(wrong), error, eager, moved)


def _allowed(dtype: str, moved: float, eager: float | None) -> float:
    """The relative error that rounding explains."""
    rounding = EPS[dtype] + moved
    if eager is not None:
        return TIMES_EAGER * (eager + rounding)
    return TIMES_ALONE.get(dtype, USUAL_TIMES) * rounding


def _wrong_parts(pairs: Sequence[Pair], eager: Sequence[Pair], dtype: str) -> list[Factor]:
    theirs = {(p.axis, p.where): p for p in parts(eager, dtype)} if eager else {}
    found = (_excused(p, theirs.get((p.axis, p.where))) for p in parts(pairs, dtype))
    return [p for p in found if p.wrong]


def _worst(wrong: Sequence[Factor]) -> Factor | None:
    """The largest error; of equal ones the part that carries most."""
    return max(wrong, key=lambda p: (round(abs(p.error), 3), p.size)) if wrong else None


def _excused(mine: Factor, eager: Factor | None) -> Factor:
    if eager is None:
        return mine
    bar = mine.bar + EAGER_FACTOR * abs(eager.error)
    return dataclasses.replace(mine, bar=bar)


def _finite(pairs: Sequence[Pair]) -> bool:
    """Whether the low values are finite wherever the right ones are."""
    return all(bool(np.isfinite(p.low[np.isfinite(p.right)]).all()) for p in pairs)


def _relative(pairs: Sequence[Pair]) -> float:
    size = _rms(p.right for p in pairs)
    return _rms(p.low - p.right for p in pairs) / size if size else 0.0


def _rms(arrays: Iterable[Array]) -> float:
    flat = [np.asarray(a)[np.isfinite(a)] for a in arrays]
    total = sum(float((a**2).sum()) for a in flat)
    return float(np.sqrt(total / max(sum(a.size for a in flat), 1)))
