"""Recomputing what lies downstream of a leaf from the recorded op calls, many copies at a time.

The framework is not involved: arrays go through the ops along a new leading axis, and what does
not depend on the leaf is not touched. Whether the tape tells the whole truth (a branch may have
left the graph) is verified against the framework's own forward before anything is concluded
from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.batching import close
from gradcheck.numerics.local import float64

LOOP, PLAIN, ALIGNED, SPREAD = "loop", "plain", "aligned", "spread"


class Replay:
    """The tape of one forward, re-runnable from its leaves.

    calls: in topological order, the last one makes the output.
    """

    def __init__(
        self, calls: Sequence[OpCall], inputs: Sequence[Sequence[Any]] | None = None
    ) -> None:
        self.calls = list(calls)
        self.inputs: list[list[Any]] = (
            [list(i) for i in inputs]
            if inputs is not None
            else [[float64(v) for v in c.inputs] for c in calls]
        )
        self.shapes: list[tuple[int, ...]] = []
        with np.errstate(all="ignore"):
            for call, values in zip(self.calls, self.inputs):
                result = np.asarray(call.run(values))
                self.shapes.append(result.shape)
        self.output = result
        self._ways: dict[tuple[int, tuple[int, ...]], str] = {}
        self._downstream: dict[frozenset[str], list[int]] = {}

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

    def run(self, changes: Mapping[str, Array]) -> Array:
        """(K, *output shape) for leaves with values (K, *shape of the leaf)."""
        count = len(next(iter(changes.values())))
        made: dict[int, Array] = {}
        order = self.downstream(frozenset(changes))
        last_use: dict[int, int] = {}
        for i in order:
            for source in self.calls[i].sources:
                if isinstance(source, int):
                    last_use[source] = i
        with np.errstate(all="ignore"):
            for i in order:
                batched: dict[int, Array] = {}
                for slot, source in enumerate(self.calls[i].sources):
                    if isinstance(source, int) and source in made:
                        batched[slot] = made[source]
                    elif isinstance(source, str) and source in changes:
                        batched[slot] = changes[source]
                made[i] = self._call(i, batched, count)
                for source in self.calls[i].sources:
                    if isinstance(source, int) and last_use[source] == i:
                        made.pop(source, None)
        final = len(self.calls) - 1
        if final not in made:
            return np.broadcast_to(self.output, (count, *self.output.shape))
        return made[final]

    # --- one call on K copies ---------------------------------------------------------------

    def _call(self, i: int, batched: dict[int, Array], count: int) -> Array:
        if count == 1:
            return self._single(i, batched, 0)[None]
        key = (i, tuple(batched))
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = self._try(i, batched, count)
        if way != LOOP:
            result = self._together(i, batched, count, way)
            if result is not None and result.shape == (count, *self.shapes[i]):
                return result
        return np.stack([self._single(i, batched, k) for k in range(count)])

    def _single(self, i: int, batched: dict[int, Array], k: int) -> Array:
        inputs = self.inputs[i].copy()
        for slot, values in batched.items():
            inputs[slot] = values[k]
        return np.asarray(self.calls[i].run(inputs))

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

    def _try(self, i: int, batched: dict[int, Array], count: int) -> str:
        """The first way whose first and last copy equal the single runs."""
        single: dict[int, Array] = {}
        for way in (ALIGNED, PLAIN, SPREAD):
            result = self._together(i, batched, count, way)
            if result is None or result.shape != (count, *self.shapes[i]):
                continue
            for k in (0, count - 1):
                if k not in single:
                    single[k] = self._single(i, batched, k)
            if all(close(result[k], single[k]) for k in single):
                return way
        return LOOP
