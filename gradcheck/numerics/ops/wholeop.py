"""The op of a case as one op call, where its framework records none.

So the op of a PyTorch function or of any framework through an adapter is checked as tinytorch's own
are: every entry of every input, the laws, memory layouts, ties; and the finding names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, HasRandomState, KeepsGraph, Leaf, OpCall, Output
from gradcheck.probe.subject import Subject


class WholeOp:
    """An `OpCall` that runs through the framework itself."""

    where: str | None = None
    may_stack = False
    """Never with one input stacked while the others, and what the op closes over, keep their size:
    native code that trusts its shapes reads outside its memory then, and the process dies."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.name = subject.name
        self.attrs: Mapping[str, Any] = subject.args
        self.input_names = tuple(subject.operands)
        self.inputs = tuple(subject.framework.get(t) for t in subject.operands.values())
        self.needs = tuple(n in subject.inputs for n in subject.operands)
        self.sources: tuple[int | str | None, ...] = tuple(
            n if n in subject.inputs else None for n in subject.operands
        )

    def run(self, inputs: Sequence[Any]) -> Array:
        return self._forward(inputs)[0]

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        """A framework that may forget its graph in a backward runs forward again for the next."""
        framework = self.subject.framework
        result, leaves, output = self._forward(inputs)
        last: list[Any] = [leaves, output]
        pulled = False
        wanted = [n for n, needed in zip(self.input_names, self.needs) if needed]

        def pullback(g: Array) -> list[Array | None]:
            nonlocal pulled
            leaves, output = last
            if isinstance(framework, KeepsGraph):
                try:
                    parts = framework.pull(output, [leaves[n] for n in wanted], g)
                except Exception:
                    if not pulled:
                        raise
                    # a graph that is good for one backward, as that of a reversible layer
                    _, leaves, output = self._forward(inputs)
                    parts = framework.pull(output, [leaves[n] for n in wanted], g)
                pulled = True
            else:
                if output is None:
                    _, leaves, output = self._forward(inputs)
                framework.zero_grad([leaves[n] for n in wanted])
                framework.backward(output, g)
                parts = [framework.grad(leaves[n]) for n in wanted]
                last[1] = None
            self._reflect(leaves, inputs)
            now = np.asarray(framework.value(output))
            if not np.array_equal(now, result, equal_nan=True):
                result[...] = now
            found = dict(zip(wanted, parts))
            return [found.get(n) for n in self.input_names]

        return result, pullback

    def draws(self) -> bool:
        """Whether a run leaves the framework's generator in another state than before."""
        framework = self.subject.framework
        if not isinstance(framework, HasRandomState):
            return False
        framework.manual_seed(self.subject.seed)
        before = framework.random_state()
        self._forward(self.inputs)
        return framework.random_state() != before

    def _forward(self, inputs: Sequence[Any]) -> tuple[Array, dict[str, Leaf], Output]:
        framework = self.subject.framework
        leaves = {
            name: framework.leaf(
                np.asarray(value),
                trainable=needed,
                dtype=str(np.asarray(value).dtype) if np.asarray(value).dtype.kind == "f" else None,
            )
            for name, value, needed in zip(self.input_names, inputs, self.needs)
        }
        output = self.subject.apply(leaves)
        self._reflect(leaves, inputs)
        return np.array(framework.value(output)), leaves, output

    def _reflect(self, leaves: Mapping[str, Leaf], inputs: Sequence[Any]) -> None:
        """Write what the op did to its operands, which are copies, into the caller's arrays."""
        for name, value in zip(self.input_names, inputs):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.flags.writeable:
                now = self.subject.framework.get(leaves[name])
                if now.shape == value.shape and not np.array_equal(now, value, equal_nan=True):
                    value[...] = now


def whole_op(subject: Subject) -> list[OpCall] | None:
    """A tape of one call; None for a model, and where the framework has no float64."""
    precision = subject.framework.precision
    whole = subject.is_op and not subject.parameters
    if not whole or {precision.data, precision.gradients} != {"float64"}:
        return None
    return [WholeOp(subject)]
