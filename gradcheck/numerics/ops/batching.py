"""Running one op on many copies of one of its inputs, along a new leading axis where that works.

These calls are probes of ours: the op has run at its real inputs, and need not run anywhere else.
What a probe raises, or a result of another shape, means 'unknown here': NaN, never a fault.

Most ops count axes from the end and do not mind one more in front. Whether this one does, with
these attributes and these other inputs, is found by trying and by comparing with the single
run; never assumed. Where it does not work the copies run one after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OneAtATime, OpCall
from gradcheck.probe.domain import Bounds

CLOSE = 1e-12
"""Share of the largest value by which two orders of summation may differ."""
TINIEST = 1e-300
"""So that zeros are close to zeros."""

UNKNOWN, LOOP, PLAIN, ALIGNED = "unknown", "loop", "plain", "aligned"


class BatchedOp:
    """An op call with its inputs (float64) and its result. bounds: by input its domain; what lies
    outside is not run, and NaN. stack: whether copies may be stacked."""

    def __init__(
        self,
        call: OpCall,
        inputs: Sequence[Any],
        base: Array,
        bounds: Mapping[int, Bounds] | None = None,
        *,
        stack: bool = True,
    ) -> None:
        self.bounds = bounds or {}
        self.call = call
        self.stack = stack and may_stack(call)
        self.inputs = list(inputs)
        self.base = base
        self.ndim = max((a.ndim for a in inputs if isinstance(a, np.ndarray)), default=0)
        self.refused: Exception | None = None
        """What the last probe raised that the op did not accept."""
        self._way: dict[int, str] = {}

    @cached_property
    def signature(self) -> str:
        """Everything but the floating values: name, attributes, shapes, integer inputs."""
        parts = [self.call.name, repr(self.call.attrs)]
        for value in self.inputs:
            if isinstance(value, np.ndarray):
                parts.append(repr(value.shape))
                if value.dtype.kind != "f":
                    parts.append(hashlib.sha1(np.ascontiguousarray(value).tobytes()).hexdigest())
            else:
                parts.append(repr(value))
        return "|".join(parts)

    def run_one(self, slot: int, value: Array) -> Array:
        """The result with another value of input `slot`; NaN where the op refuses it."""
        if slot in self.bounds and self.bounds[slot].outside(value, self.inputs[slot]).any():
            return np.full(self.base.shape, np.nan)
        inputs = self.inputs.copy()
        inputs[slot] = value
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(self.call.run(inputs))
        except Exception as error:  # outside the domain: a solver refuses NaN, a loss its bounds
            self.refused = error
            return np.full(self.base.shape, np.nan)
        # The size of a result may depend on the values (a pivoted factorisation).
        return result if result.shape == self.base.shape else np.full(self.base.shape, np.nan)

    def run_many(self, slot: int, values: Array) -> Array:
        """(K, *shape of the result) for values (K, *shape of the input)."""
        if len(values) == 1:
            return self.run_one(slot, values[0])[None]
        if slot in self.bounds:
            left = self.bounds[slot].outside(values, self.inputs[slot])
            lost = left.reshape(len(values), -1).any(axis=1)
            if lost.any():
                out = np.full((len(values), *self.base.shape), np.nan)
                if not lost.all():
                    out[~lost] = self.run_many(slot, values[~lost])
                return out
        way = self._way.get(slot, UNKNOWN)
        if way == UNKNOWN:
            way = self._way[slot] = self._try(slot, values) if self.stack else LOOP
        if way != LOOP:
            result = self._together(slot, values, way)
            if result is not None and result.shape == (len(values), *self.base.shape):
                return result
        return np.stack([self.run_one(slot, v) for v in values])

    def clipped(self, slot: int, values: Array) -> Array:
        """`values` (..., *shape of the input), on the edge of the domain where outside of it."""
        if slot not in self.bounds:
            return values
        return self.bounds[slot].clipped(values, self.inputs[slot])

    def _together(self, slot: int, values: Array, way: str) -> Array | None:
        inputs = self.inputs.copy()
        if way == ALIGNED:
            shape = values.shape[1:]
            values = values.reshape(len(values), *(1,) * (self.ndim - len(shape)), *shape)
        inputs[slot] = values
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self.call.run(inputs))
        except Exception:  # an op may refuse one more axis in any way it likes
            return None

    def _try(self, slot: int, values: Array) -> str:
        """The first way whose first and last copy equal the single runs."""
        shape = self.inputs[slot].shape
        single: dict[int, Array] = {}
        for way in (ALIGNED, PLAIN) if len(shape) < self.ndim else (PLAIN,):
            result = self._together(slot, values, way)
            if result is None or result.shape != (len(values), *self.base.shape):
                continue
            for k in (0, len(values) - 1):
                if k not in single:
                    single[k] = self.run_one(slot, values[k])
            if all(close(result[k], single[k]) for k in single):
                return way
        return LOOP


def may_stack(call: OpCall) -> bool:
    """Whether one input of a call may get a further leading axis; see `OneAtATime`."""
    return not isinstance(call, OneAtATime) or call.may_stack


def close(a: Array, b: Array) -> bool:
    """Equal up to the rounding that another order of summation brings."""
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    with np.errstate(all="ignore"):  # most arrays are finite, and then this is all
        if a.size and float(np.abs(a - b).max()) <= CLOSE * float(np.abs(b).max()):
            return True
    size = np.abs(b[np.isfinite(b)])
    tolerance = CLOSE * (float(size.max()) if size.size else 0.0) + TINIEST
    with np.errstate(all="ignore"):
        return bool(((np.abs(a - b) <= tolerance) | (a == b) | (np.isnan(a) & np.isnan(b))).all())
