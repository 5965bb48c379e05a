"""Op calls seen through a mask: results that are minus infinity on purpose, declared domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, MayDraw, OpCall, backward_at
from gradcheck.numerics.ops.batching import may_stack
from gradcheck.probe.domain import Bounds


class FiniteResults:
    """`call` as an `OpCall`, with its infinite results as zeros that no cotangent reaches."""

    def __init__(self, call: OpCall, finite: Array) -> None:
        self.call, self.finite = call, finite
        self.name, self.attrs, self.where = call.name, call.attrs, call.where
        self.inputs, self.input_names = call.inputs, call.input_names
        self.sources, self.needs = call.sources, call.needs
        self.defined: str | None = backward_at(call)
        self.may_stack = may_stack(call)

    def run(self, inputs: Sequence[Any]) -> Array:
        return np.where(self.finite, self.call.run(inputs), 0.0)

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        result, pullback = self.call.vjp(inputs)
        hidden = np.where(self.finite, result, 0.0)
        return hidden, lambda g: pullback(np.where(self.finite, g, 0.0))


class InDomain:
    """`call` as an `OpCall` that never sees anything outside the declared domain of its inputs:
    what a probe would put there lies on the edge. bounds: by input."""

    def __init__(self, call: OpCall, inputs: Sequence[Any], bounds: Mapping[int, Bounds]) -> None:
        self.call, self.bounds, self.given = call, bounds, list(inputs)
        self.name, self.attrs, self.where = call.name, call.attrs, call.where
        self.inputs, self.input_names = call.inputs, call.input_names
        self.sources, self.needs = call.sources, call.needs
        self.defined: str | None = backward_at(call)
        self.may_stack = may_stack(call)

    def draws(self) -> bool:
        return isinstance(self.call, MayDraw) and self.call.draws()

    def run(self, inputs: Sequence[Any]) -> Array:
        return self.call.run(self._inside(inputs))

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        return self.call.vjp(self._inside(inputs))

    def _inside(self, inputs: Sequence[Any]) -> list[Any]:
        """`inputs` themselves as far as they lie inside: an op that writes to them must be seen."""
        moved = list(inputs)
        for slot, bounds in self.bounds.items():
            x, value = self.given[slot], moved[slot]
            if np.shape(value)[-np.ndim(x) :] == np.shape(x) and bounds.outside(value, x).any():
                moved[slot] = bounds.clipped(value, x)
        return moved
