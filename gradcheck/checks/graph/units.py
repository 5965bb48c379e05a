"""Dead units of a ReLU and saturated ones of a tanh, read off the recorded op calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.frameworks.protocol import OpCall

RECTIFIERS = ("relu",)


@dataclass(frozen=True)
class DeadUnits:
    """One rectifier call: its units that never fire, the leaves behind it, which it shuts off, and
    the leaves that only meet its zeros."""

    op: str
    where: str | None
    units: tuple[int, ...]
    total: int
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]

    @property
    def share(self) -> float:
        return len(self.units) / self.total


def dead_units(tape: Sequence[OpCall], max_dead: float) -> list[DeadUnits]:
    """The rectifier calls of which more than `max_dead` of the units are dead.

    A unit is an entry of the last axis of (B, ..., F); of axis 1 of an image (B, C, H, W).
    """
    found = []
    for index, call in enumerate(tape):
        if call.name not in RECTIFIERS:
            continue
        x = np.asarray(call.inputs[0])
        if x.ndim < 2:
            continue
        axis = 1 if x.ndim == 4 else x.ndim - 1
        others = tuple(i for i in range(x.ndim) if i != axis)
        dead = np.flatnonzero(np.all(x <= 0, axis=others))
        if x.shape[axis] and len(dead) >= max_dead * x.shape[axis]:
            units = tuple(int(i) for i in dead)
            upstream = tuple(leaves_behind(tape, index))
            downstream = tuple(leaves_after(tape, index))
            found.append(
                DeadUnits(call.name, call.where, units, x.shape[axis], upstream, downstream)
            )
    return found


FLAT = {"tanh": 2.65, "sigmoid": 5.3}
"""Beyond this size of its argument the derivative is below 2 % of its largest value."""
FEW = 32
"""Entries below which a share says nothing."""


@dataclass(frozen=True)
class Saturated:
    """One call of tanh or sigmoid, and the share of its entries that are saturated."""

    op: str
    where: str | None
    share: float
    upstream: tuple[str, ...]


def saturated_units(tape: Sequence[OpCall], most: float) -> list[Saturated]:
    """The calls of tanh and sigmoid of which more than `most` of the entries are saturated."""
    found = []
    for index, call in enumerate(tape):
        if call.name not in FLAT:
            continue
        x = np.asarray(call.inputs[0])
        if x.ndim < 2 or x.size < FEW:
            continue
        share = float(np.mean(np.abs(x) > FLAT[call.name]))
        if share >= most:
            upstream = tuple(leaves_behind(tape, index))
            found.append(Saturated(call.name, call.where, share, upstream))
    return found


def leaves_behind(tape: Sequence[OpCall], index: int) -> list[str]:
    """Names of the leaves from which call `index` is computed, in the order met."""
    names: dict[str, None] = {}
    seen = {index}
    stack = [index]
    while stack:
        for source in tape[stack.pop()].sources:
            if isinstance(source, str):
                names[source] = None
            elif isinstance(source, int) and source not in seen:
                seen.add(source)
                stack.append(source)
    return list(names)


def after(tape: Sequence[OpCall], starts: set[int]) -> list[int]:
    """The calls that depend on one of `starts`, in order, these not among them."""
    reached = set(starts)
    found = []
    for index, call in enumerate(tape):
        if any(isinstance(s, int) and s in reached for s in call.sources):
            reached.add(index)
            found.append(index)
    return found


def leaves_after(tape: Sequence[OpCall], index: int) -> list[str]:
    """Names of the leaves that take part in calls that depend on call `index`."""
    names: dict[str, None] = {}
    for later in after(tape, {index}):
        names.update((s, None) for s in tape[later].sources if isinstance(s, str))
    return list(names)


NORMALIZERS = ("softmax", "norm", "attention", "cross_entropy")


def through_single(tape: Sequence[OpCall], name: str) -> bool:
    """Whether what is computed from a leaf goes through a normalization over a single entry.

    The softmax of one score is 1 and the norm of one value constant, so that the gradient is zero
    because of the shapes, not of a fault.
    """
    users = {i for i, call in enumerate(tape) if name in call.sources}
    for index in [*users, *after(tape, users)]:
        call = tape[index]
        if any(word in call.name for word in NORMALIZERS):
            shapes = [np.shape(x) for x in call.inputs[:3] if np.ndim(x)]
            if any(1 in shape[-2:] for shape in shapes):
                return True
    return False
