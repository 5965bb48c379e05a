"""Recomputing what lies downstream of leaves from the recorded op calls, many copies at a time.

The framework is not involved: arrays go through the ops along a new leading axis. Copies may
perturb different leaves; a copy takes part only in the ops downstream of its own leaf, so one pass
over the tape serves them all. Whether the tape tells the whole truth (a branch may have left
the graph) is verified against the framework's own forward before anything is concluded from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OneAtATime, OpCall
from gradcheck.numerics.core.arrays import float64
from gradcheck.numerics.ops.batching import close, may_stack

LOOP, PLAIN, ALIGNED, SPREAD = "loop", "plain", "aligned", "spread"

Move = tuple[str, Array]
"""A leaf's name and values for it, (K, *shape of the leaf): K copies of the forward."""


class Replay:
    """The tape of one forward, re-runnable from its leaves.

    calls: in topological order, the last one makes the output. stack: whether a call may get
    several copies of its inputs at once.
    """

    def __init__(
        self,
        calls: Sequence[OpCall],
        inputs: Sequence[Sequence[Any]] | None = None,
        *,
        stack: bool = True,
    ) -> None:
        self.stack = stack
        self.calls = list(calls)
        self.inputs: list[list[Any]] = (
            [list(i) for i in inputs]
            if inputs is not None
            else [[float64(v) for v in c.inputs] for c in calls]
        )
        self.shapes = self._shapes()
        with np.errstate(all="ignore"):
            self.output = np.asarray(self.calls[-1].run(self.inputs[-1]))
        # Asked once for each type: isinstance of a protocol takes as long as a small op.
        kinds = {type(call): call for call in self.calls}
        self._careful = {k for k, call in kinds.items() if isinstance(call, OneAtATime)}
        self._ways: dict[Any, str] = {}
        self._kinds: dict[int, Any] = {}
        self._downstream: dict[frozenset[str], list[int]] = {}
        self._first_use: dict[str, int] = {}
        for i, call in enumerate(self.calls):
            for source in call.sources:
                if isinstance(source, str):
                    self._first_use.setdefault(source, i)

    def _shapes(self) -> list[tuple[int, ...]]:
        """Of the result of every call, as the calls that take it have recorded it."""
        known: dict[int, tuple[int, ...]] = {}
        for call, values in zip(self.calls, self.inputs):
            for source, value in zip(call.sources, values):
                if isinstance(source, int):
                    known[source] = np.shape(value)
        with np.errstate(all="ignore"):
            for i in range(len(self.calls)):
                if i not in known:
                    known[i] = np.shape(self.calls[i].run(self.inputs[i]))
        return [known[i] for i in range(len(self.calls))]

    @property
    def largest(self) -> int:
        """Numbers in the largest result of a call."""
        return max(int(np.prod(shape)) for shape in self.shapes)

    def downstream(self, names: frozenset[str]) -> list[int]:
        """Indices of the calls that depend on any of these leaves."""
        known = self._downstream.get(names)
        if known is None:
            reached: set[int] = set()
            for i, call in enumerate(self.calls):
                for source in call.sources:
                    if (source in reached) if isinstance(source, int) else (source in names):
                        reached.add(i)
                        break
            known = self._downstream[names] = sorted(reached)
        return known

    def run(self, moves: Sequence[Move]) -> Array:
        """(K of all moves, *output shape): the output of every copy, in the order of `moves`."""
        starts = np.cumsum([0, *(len(values) for _, values in moves)])
        # Leaves in the order of their use: then the copies that an op sees lie side by side.
        order = sorted(range(len(moves)), key=lambda m: self._first_use.get(moves[m][0], -1))
        places = np.concatenate([np.arange(starts[m], starts[m + 1]) for m in order])
        leaves: dict[str, list[Rows]] = {}
        number = 0
        for m in order:
            name, values = moves[m]
            numbers = np.arange(number, number + len(values))
            leaves.setdefault(name, []).append(Rows(numbers, values))
            number += len(values)
        made = self._run({name: join(parts) for name, parts in leaves.items()})
        kind = self.output.dtype if made is None else made.values.dtype
        out = np.empty((number, *self.output.shape), kind)
        out[...] = self.output
        if made is not None:
            out[places[made.numbers]] = made.values
        return out

    def run_together(self, changes: Mapping[str, Array]) -> Array:
        """(K, *output shape) for copies in which all these leaves differ, (K, *shape) each."""
        numbers = np.arange(len(next(iter(changes.values()))))
        made = self._run({name: Rows(numbers, values) for name, values in changes.items()})
        if made is None:
            return np.broadcast_to(self.output, (len(numbers), *self.output.shape))
        return made.values

    def _run(self, leaves: Mapping[str, Rows]) -> Rows | None:
        """The copies of the output that differ; None where no call depends on these leaves."""
        order = self.downstream(frozenset(leaves))
        last_use = {
            source: i for i in order for source in self.calls[i].sources if isinstance(source, int)
        }
        made: dict[int, Rows] = {}
        with np.errstate(all="ignore"):
            for i in order:
                slots: list[int] = []
                inputs: list[Rows] = []
                for slot, source in enumerate(self.calls[i].sources):
                    rows = made.get(source) if isinstance(source, int) else leaves.get(source or "")
                    if rows is not None:
                        slots.append(slot)
                        inputs.append(rows)
                if len(inputs) == 1:
                    numbers, values = inputs[0].numbers, inputs[0].values
                    made[i] = Rows(numbers, self._call(i, {slots[0]: values}, len(numbers)))
                else:
                    parts = []
                    for numbers, which in split(inputs):
                        batched = {slots[p]: inputs[p].at(numbers) for p in which}
                        parts.append(Rows(numbers, self._call(i, batched, len(numbers))))
                    made[i] = join(parts)
                for source in self.calls[i].sources:
                    if isinstance(source, int) and last_use[source] == i:
                        made.pop(source, None)
        return made.get(len(self.calls) - 1)

    # --- one call on K copies ---------------------------------------------------------------

    def _call(self, i: int, batched: dict[int, Array], count: int) -> Array:
        if count == 1:
            return self._single(i, batched, 0)[None]
        careful = type(self.calls[i]) in self._careful
        if not self.stack or (careful and not may_stack(self.calls[i])):
            return self._loop(i, batched, count)
        key = (self._kind(i), tuple(batched))
        way = self._ways.get(key)
        if way is None:
            self._ways[key], result = self._try(i, batched, count)
            return result
        if way != LOOP:
            together = self._together(i, batched, count, way)
            if together is not None and together.shape == (count, *self.shapes[i]):
                return together
        return self._loop(i, batched, count)

    def _loop(self, i: int, batched: dict[int, Array], count: int) -> Array:
        return np.stack([self._single(i, batched, k) for k in range(count)])

    def _kind(self, i: int) -> Any:
        """What decides how a call takes copies: the op, its attributes and all shapes. A call with
        arrays among its attributes is a kind of its own."""
        kind = self._kinds.get(i)
        if kind is None:
            call, kind = self.calls[i], i
            if not any(isinstance(v, np.ndarray) for v in call.attrs.values()):
                shapes = tuple(
                    v.shape if isinstance(v, np.ndarray) else type(v) for v in self.inputs[i]
                )
                kind = (call.name, repr(dict(call.attrs)), shapes)
            self._kinds[i] = kind
        return kind

    def _single(self, i: int, batched: dict[int, Array], k: int) -> Array:
        inputs = self.inputs[i].copy()
        for slot, values in batched.items():
            inputs[slot] = values[k]
        shape = self.shapes[i]
        try:
            result = np.asarray(self.calls[i].run(inputs))
        except Exception:  # a probe outside the domain: unknown there, not wrong
            return np.full(shape, np.nan)
        return result if result.shape == shape else np.full(shape, np.nan)

    def _together(self, i: int, batched: dict[int, Array], count: int, way: str) -> Array | None:
        inputs = self.inputs[i].copy()
        ndim = max((v.ndim for v in inputs if isinstance(v, np.ndarray)), default=0)
        for slot, value in enumerate(inputs):
            if slot in batched:
                value = batched[slot]
            elif way == SPREAD and isinstance(value, np.ndarray):
                value = np.broadcast_to(value, (count, *value.shape))
            else:
                continue
            if way != PLAIN and value.ndim <= ndim:
                shape = value.shape[1:]
                value = value.reshape(count, *(1,) * (ndim - len(shape)), *shape)
            inputs[slot] = value
        try:
            return np.asarray(self.calls[i].run(inputs))
        except Exception:  # an op may refuse one more axis in any way it likes
            return None

    def _try(self, i: int, batched: dict[int, Array], count: int) -> tuple[str, Array]:
        """The first way whose last copy equals the single run, and its result. An op that mixes
        copies, or takes them in another order, differs there."""
        single: Array | None = None
        for way in (ALIGNED, PLAIN, SPREAD):
            result = self._together(i, batched, count, way)
            if result is None or result.shape != (count, *self.shapes[i]):
                continue
            if single is None:
                single = self._single(i, batched, count - 1)
            if close(result[-1], single):
                return way, result
        return LOOP, self._loop(i, batched, count)


# --- copies as rows -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """The copies of one array that differ from what was recorded.

    numbers: (n,) ascending, which copies. values: (n, *shape of the array).
    """

    numbers: Array
    values: Array

    def at(self, numbers: Array) -> Array:
        """The values of some of these copies; a view where they lie side by side."""
        if len(numbers) == len(self.numbers):
            return self.values
        return self.values[_side_by_side(np.searchsorted(self.numbers, numbers))]


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of several disjoint sets, in order."""
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda p: int(p.numbers[0]))
    if all(a.numbers[-1] < b.numbers[0] for a, b in pairwise(parts)):
        return Rows(
            np.concatenate([p.numbers for p in parts]), np.concatenate([p.values for p in parts])
        )
    numbers = np.sort(np.concatenate([p.numbers for p in parts]))
    values = np.empty(
        (len(numbers), *parts[0].values.shape[1:]), np.result_type(*(p.values for p in parts))
    )
    for part in parts:
        values[_side_by_side(np.searchsorted(numbers, part.numbers))] = part.values
    return Rows(numbers, values)


def split(inputs: Sequence[Rows]) -> list[tuple[Array, tuple[int, ...]]]:
    """Copies by which of the inputs differ in them: (numbers, positions in `inputs`)."""
    first = inputs[0].numbers
    if all(r.numbers is first or np.array_equal(r.numbers, first) for r in inputs[1:]):
        return [(first, tuple(range(len(inputs))))]
    kinds = np.zeros(1 + max(int(r.numbers[-1]) for r in inputs), dtype=np.int64)
    for position, rows in enumerate(inputs):
        kinds[rows.numbers] |= 1 << position
    return [
        (
            np.flatnonzero(kinds == kind),
            tuple(p for p in range(len(inputs)) if kind >> p & 1),
        )
        for kind in np.unique(kinds[kinds > 0]).tolist()
    ]


def _side_by_side(positions: Array) -> Array | slice:
    """A slice where the positions are consecutive."""
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return slice(start, stop) if stop - start == len(positions) else positions
