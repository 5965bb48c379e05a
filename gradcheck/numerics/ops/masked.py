"""An op call whose result is deliberately minus infinity in places: a mask before a softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall, backward_at
from gradcheck.numerics.ops.batching import may_stack


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
