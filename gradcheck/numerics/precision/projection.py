"""The factor by which a noisy gradient is off, and how well that factor is known.

Low precision hides a wrong gradient behind rounding of the same size, entry by entry. Projected
on the right gradient, rounding averages out and a wrong factor does not. With K the gradient in
low precision, R the right one and e = K - R, the least-squares factor is

    a = sum(e R) / sum(R R),

0 for a right gradient, -1 for a missing one. Its standard error comes from the residuals
e - a R (White 1980), corrected for the weight of single entries (HC3, MacKinnon and White 1985).
Rounding inside a kernel is often shared by a whole row, such as a rounded standard deviation. So
residuals are also added up over the slices of each axis, and the largest standard error counts
(Liang and Zeger 1986). The same is asked of each part: a row, a column, a head, a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.numerics.core.arrays import Array
from gradcheck.numerics.precision.dtypes import EPS

SURE = 7.0
"""Standard errors beyond which a factor is wrong: one false alarm in 1e11 of normal noise, and
thousands of parts are asked in one run."""
FEW = 12.0
"""Of n independent residuals the standard error is itself uncertain: SURE grows by FEW / n, as the
quantiles of Student's t do."""
BLOCKS = 8
"""An axis is also cut into this many blocks: a kernel that leaves out its last block."""
MOST_PARTS = 4096
"""Slices of a longer axis are not asked one by one."""
WHOLE_FLOOR = {"float32": 0.6}
"""Roundings by which the factor of a whole tensor may be off. A constant that is rounded once, to
the dtype, moves it by up to half of one."""
USUAL_FLOOR = 0.12
"""The same for 16 bits: there kernels and constants are float32 inside."""
PART_FLOOR = {"float32": 4.0}
"""The same for a part. Sums in float32 lose a few roundings, and where most of a gradient cancels
(a column with a weight near zero) what is left of them does not average out."""
USUAL_PART_FLOOR = 0.75
"""The same for 16 bits: one row shares a statistic that was rounded once for it."""
ZERO = 1e-12
"""Below this share of the whole a right gradient is zero but for float64's rounding."""
AT_ZERO = 64.0
"""Roundings of the whole gradient that may stand where the right one is zero."""
ALIKE = 8
"""From this many parts on, they are also compared with each other: where each row has a rounding of
its own (of a saved logarithm of sums), their factors scatter, and only what stands out is wrong."""
NORMAL_MAD = 1.4826
"""Standard deviations in a median absolute deviation of normal numbers."""


@dataclass(frozen=True)
class Factor:
    """The factor of the error in one part, or in the whole (axis None).

    where: index range along the axis. error: a. bar: beyond which |a| is wrong. size: the norm of
    the right gradient there. zero: it is zero there; then `error` is the size of what stands in its
    place, relative to the whole gradient.
    """

    axis: int | None
    where: tuple[int, int]
    error: float
    bar: float
    size: float
    zero: bool = False

    @property
    def wrong(self) -> bool:
        return bool(abs(self.error) > self.bar)


@dataclass(frozen=True)
class Pair:
    """One draw: the gradient in low precision and the right one, both as float64 of one shape."""

    low: Array
    right: Array


def whole(pairs: Sequence[Pair], dtype: str) -> Factor:
    """The factor of all draws together.

    dtype: the low one. The bar is infinite where the right gradient is zero, or a single entry is
    all there is.
    """
    weight = sum(float((p.right**2).sum()) for p in pairs)
    if not weight > 0:
        return Factor(None, (0, 0), 0.0, np.inf, 0.0)
    error = sum(float(((p.low - p.right) * p.right).sum()) for p in pairs) / weight
    sums = [_scores(p, error, weight) for p in pairs]
    clusterings = [np.concatenate([s.ravel() for s in sums])]
    for axis in range(max(s.ndim for s in sums)):
        slices = [_along(s, axis) for s in sums if s.ndim > axis]
        clusterings.append(np.concatenate(slices))
    if len(pairs) > 3:
        clusterings.append(np.array([s.sum() for s in sums]))
    bar = max((_bar(c) for c in clusterings if c.size > 3), default=np.inf)
    floor = WHOLE_FLOOR.get(dtype, USUAL_FLOOR) * EPS[dtype]
    return Factor(None, (0, 0), error, bar / weight + floor, weight**0.5)


def parts(pairs: Sequence[Pair], dtype: str) -> Iterator[Factor]:
    """The factors of all slices and blocks along each axis; draws of one shape are put together."""
    floor = PART_FLOOR.get(dtype, USUAL_PART_FLOOR) * EPS[dtype]
    shapes = {p.right.shape for p in pairs}
    for shape in shapes:
        low = np.stack([p.low for p in pairs if p.right.shape == shape])
        right = np.stack([p.right for p in pairs if p.right.shape == shape])
        for axis, length in enumerate(shape):
            for ranges in _cuts(length):
                yield from _of_parts(low, right, axis, ranges, floor)
                yield from _at_zero(low, right, axis, ranges, AT_ZERO * EPS[dtype])


def _of_parts(low: Array, right: Array, axis: int, starts: Array, floor: float) -> Iterator[Factor]:
    rest = tuple(i for i in range(low.ndim) if i != axis + 1)
    length = low.shape[axis + 1]

    def total(x: Array) -> Array:
        return np.asarray(np.add.reduceat(x.sum(axis=rest), starts))

    error = low - right
    weight = total(right**2)
    weight = np.where(weight > ZERO**2 * weight.sum(), weight, 0.0)
    with np.errstate(all="ignore"):
        factor = total(error * right) / weight
        spread = np.repeat(factor, np.diff([*starts, length]))
        shape = [1] * low.ndim
        shape[axis + 1] = length
        residual = (error - spread.reshape(shape) * right) * right
        share = right**2 / np.repeat(weight, np.diff([*starts, length])).reshape(shape)
        variance = total((residual / (1 - share)) ** 2)
        count = weight**2 / total(right**4)  # entries that carry the weight
        bar = (SURE + FEW / count) * np.sqrt(variance) / weight + floor
        if starts.size >= ALIKE:
            known = factor[np.isfinite(factor)]
            scatter = np.median(np.abs(known - np.median(known))) if known.size else 0.0
            bar = np.maximum(bar, floor + SURE * NORMAL_MAD * scatter)
    for i, start in enumerate(starts):
        stop = int(starts[i + 1]) if i + 1 < len(starts) else length
        if np.isfinite(factor[i]) and np.isfinite(bar[i]) and count[i] > 3:
            yield Factor(
                axis, (int(start), stop), float(factor[i]), float(bar[i]), float(weight[i]) ** 0.5
            )


def _at_zero(low: Array, right: Array, axis: int, starts: Array, bar: float) -> Iterator[Factor]:
    """What stands where the right gradient is zero, as at masked positions."""
    rest = tuple(i for i in range(low.ndim) if i != axis + 1)
    length = low.shape[axis + 1]
    sizes = np.add.reduceat((right**2).mean(axis=rest), starts)
    found = np.add.reduceat((low**2).mean(axis=rest), starts)
    whole = (right**2).mean()
    for i in np.flatnonzero(sizes <= ZERO**2 * whole):
        stop = int(starts[i + 1]) if i + 1 < len(starts) else length
        error = float(np.sqrt(found[i] / whole)) if whole else 0.0
        yield Factor(axis, (int(starts[i]), stop), error, bar, 0.0, zero=True)


def _cuts(length: int) -> Iterator[Array]:
    """Starts of the parts along an axis: every index, and blocks."""
    if 1 < length <= MOST_PARTS:
        yield np.arange(length)
    if length > 2 * BLOCKS:
        yield np.unique(np.linspace(0, length, BLOCKS + 1).astype(int)[:-1])


def _scores(pair: Pair, error: float, weight: float) -> Array:
    """The residuals times the right gradient, each raised by its own weight in the fit."""
    residual = (pair.low - pair.right) - error * pair.right
    share = np.minimum(pair.right**2 / weight, 1.0)
    with np.errstate(all="ignore"):
        return np.asarray(residual * pair.right / (1 - share))


def _along(scores: Array, axis: int) -> Array:
    return np.asarray(scores.sum(axis=tuple(i for i in range(scores.ndim) if i != axis))).ravel()


def _bar(sums: Array) -> float:
    squares = sums**2
    total = float(squares.sum())
    if not np.isfinite(total):
        return float("inf")
    return (SURE + FEW / sums.size) * total**0.5
