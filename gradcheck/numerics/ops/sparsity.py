"""Which entries of an input may be perturbed together: those whose outputs do not meet.

Entries that touch different outputs can share one evaluation (Curtis, Powell and Reid 1974).
The pattern is found by probing: NaN in some entries marks the outputs they reach, and so does a
large random change (an op built on `where` may swallow a NaN). To find the owner of every
output along one axis of length d takes 2 ceil(log2 d) probes of each kind: bit b of the index
decides which entries are marked, once set and once unset. An output that both probes of some
bit reach has two owners, so *no* pair of entries that meet goes unnoticed: that is a proof, not
a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import scale_of

RunMany = Callable[[Array], Array]
"""values (K, *shape of the input) -> results (K, outputs)"""

MAX_PROFILE = 256
"""Longest axis that is profiled index by index when its indices do meet (windows, packed heads)."""
MOVED = 1e-11
"""An output has moved when it changed by more than this share of its size: more than rounding."""
ROOM = 1 << 17
"""Numbers in one batch of probes."""


@dataclass(frozen=True)
class Axis:
    """The classes of the indices along one axis: those of a class never meet in an output.

    class_of: (n,) class of each index. owner: (classes, outputs) the index that owns an output when
    a class moves, -1 for none; None when every class is a single index that owns all outputs.
    """

    class_of: Array
    owner: Array | None

    @property
    def classes(self) -> int:
        return int(self.class_of.max()) + 1


@dataclass(frozen=True)
class Colouring:
    """Axis by axis, the classes of indices that may move together.

    A colour is one class per axis: all entries whose index along every axis is in that class.
    """

    shape: tuple[int, ...]
    outputs: int
    axes: tuple[Axis, ...]

    @cached_property
    def colours(self) -> int:
        return math.prod(a.classes for a in self.axes)

    @cached_property
    def colour_of(self) -> Array:
        """(entries,): the colour of every entry."""
        total = np.zeros((), dtype=np.int64)
        for axis in self.axes:
            total = np.add.outer(total * axis.classes, axis.class_of)
        return total.reshape(-1)

    @property
    def dense(self) -> bool:
        """Every colour is one entry that owns every output."""
        return all(a.owner is None for a in self.axes)

    def owners(self, colours: Array) -> Array:
        """(len(colours), outputs): the flat entry that owns each output, `entries` for none."""
        entries = math.prod(self.shape)
        flat = np.zeros((len(colours), self.outputs), dtype=np.int64)
        none = np.zeros(flat.shape, dtype=bool)
        stride = 1
        rest = colours
        for n, axis in zip(reversed(self.shape), reversed(self.axes)):
            chosen = rest % axis.classes
            rest = rest // axis.classes
            if axis.owner is None:
                flat += (chosen * stride)[:, None]
            else:
                owner = axis.owner[chosen]
                flat += owner * stride
                none |= owner < 0
            stride *= n
        flat[none] = entries
        return flat


def dense(shape: tuple[int, ...], outputs: int) -> Colouring:
    """One entry at a time; every entry owns every output."""
    return Colouring(shape, outputs, tuple(Axis(np.arange(n), None) for n in shape))


Known = dict[Any, Colouring]
"""Patterns proven at an earlier call of the same op, by everything but the floating values."""


def find(
    run: RunMany,
    x: Array,
    base: Array,
    rng: np.random.Generator,
    known: Known | None = None,
    key: Any = None,
) -> Colouring:
    """The colouring of an op as a function of one floating input.

    run: results (flattened) for many values of this input. x: its value. base: run of x, (outputs,)
    known, key: where a pattern proven at an earlier call is kept. It is confirmed here by random
    probes, and found again when they contradict it.
    """
    if not np.isfinite(base).all() or x.size == 1:
        return dense(x.shape, base.size)
    reach = _Reach(run, x, base, rng)
    if known is not None and key in known and _confirmed(known[key], reach, rng):
        return known[key]
    found = Colouring(x.shape, base.size, _axes(reach, x.shape, base.size))
    if known is not None:
        known[key] = found
    return found


def _confirmed(colouring: Colouring, reach: _Reach, rng: np.random.Generator) -> bool:
    """Random halves of the indices of a class reach no output that others own."""
    masks: list[Array] = []
    allowed: list[Array] = []
    for a, axis in enumerate(colouring.axes):
        if axis.owner is None:
            continue
        n = colouring.shape[a]
        for _ in range(2):
            number = int(rng.integers(axis.classes))
            chosen = (axis.class_of == number) & (rng.random(n) < 0.5)
            masks.append(chosen.reshape((n,) + (1,) * (len(colouring.shape) - a - 1)))
            owner = axis.owner[number]
            allowed.append(chosen[owner] & (owner >= 0))
    if not masks:
        return True
    return not (reach(masks) & ~np.stack(allowed)).any()


class _Reach:
    """Masks of entries -> masks of the outputs that they reach."""

    def __init__(self, run: RunMany, x: Array, base: Array, rng: np.random.Generator) -> None:
        self.run, self.x, self.base = run, x, base
        size = scale_of(x)
        away = np.where(rng.random(x.shape) < 0.5, -size, size) * rng.uniform(0.5, 1.5, x.shape)
        self.moved = x + away
        typical = float(np.mean(np.abs(base))) if base.size else 0.0
        self.rounding = MOVED * (np.abs(base) + typical)

    def __call__(self, masks: list[Array]) -> Array:
        """(len(masks), outputs) bool for masks of shape (len(masks), *shape of x)."""
        reached = np.empty((len(masks), self.base.size), dtype=bool)
        per = max(1, ROOM // (2 * max(self.x.size, self.base.size)))
        for start in range(0, len(masks), per):
            mask = np.stack([np.broadcast_to(m, self.x.shape) for m in masks[start : start + per]])
            values = np.concatenate(
                [np.where(mask, np.nan, self.x), np.where(mask, self.moved, self.x)]
            )
            out = self.run(values)
            # Many copies at once round differently from one; that is not a dependence.
            same = (np.abs(out - self.base) <= self.rounding).reshape(2, len(mask), -1)
            reached[start : start + len(mask)] = ~same.all(axis=0)
        return reached


def _axes(reach: _Reach, shape: tuple[int, ...], outputs: int) -> tuple[Axis, ...]:
    """Probe all axes at once, so they share their runs."""
    masks: list[Array] = []
    index_of = []
    for a, n in enumerate(shape):
        index = np.arange(n).reshape((n,) + (1,) * (len(shape) - a - 1))
        index_of.append(index)
        for bit in range(int(n - 1).bit_length()):
            masks += [(index >> bit) & 1 == 1, (index >> bit) & 1 == 0]
    reached = reach(masks) if masks else np.zeros((0, outputs), dtype=bool)
    axes = []
    position = 0
    for n, index in zip(shape, index_of):
        if n == 1:
            axes.append(Axis(np.zeros(1, dtype=np.int64), None))
            continue
        bits = int(n - 1).bit_length()
        on, off = reached[position : position + 2 * bits].reshape(bits, 2, -1).swapaxes(0, 1)
        position += 2 * bits
        if not (on & off).any():
            owner = (on.astype(np.int64) << np.arange(bits)[:, None]).sum(axis=0)
            owner = np.where((on | off).any(axis=0), owner, -1)
            axes.append(Axis(np.zeros(n, dtype=np.int64), owner[None]))
        else:
            axes.append(_profile(reach, index, n, outputs))
    return tuple(axes)


def _profile(reach: _Reach, index: Array, n: int, outputs: int) -> Axis:
    """Greedy colouring of the indices of one axis by the outputs that each reaches."""
    apart = Axis(np.arange(n), None)
    if not 3 <= n <= MAX_PROFILE:
        return apart
    # Where the first index meets the last, or one in the middle, one by one is all there is.
    ends = reach([index == 0, index == n - 1, index == n // 2])
    if (ends[0] & ends[1]).any() or (n > 8 and (ends[0] & ends[2]).any()):
        return apart
    touched = reach([index == i for i in range(n)])
    unions: list[Array] = []
    class_of = np.empty(n, dtype=np.int64)
    for i in range(n):
        for number, union in enumerate(unions):
            if not (union & touched[i]).any():
                union |= touched[i]
                class_of[i] = number
                break
        else:
            class_of[i] = len(unions)
            unions.append(touched[i].copy())
    if len(unions) == n:
        return apart
    owner = np.full((len(unions), outputs), -1, dtype=np.int64)
    for i in range(n):
        owner[class_of[i], touched[i]] = i
    return Axis(class_of, owner)
