"""The adapter of the bundled framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

import tinytorch
from gradcheck.frameworks.calling import call_op
from gradcheck.frameworks.protocol import (
    Array,
    Cut,
    InPlaceOf,
    Leaf,
    MetFunction,
    Output,
    Precision,
    Through,
    TrainingListener,
)
from gradcheck.frameworks.tinytorch_stops import holding
from gradcheck.frameworks.tinytorch_trace import Trace
from gradcheck.frameworks.walk import walk_leaves
from gradcheck.source.line import Line, is_harness
from gradcheck.source.where import defined_at
from tinytorch.autograd import pull_back, topological
from tinytorch.grad_mode import state as recording
from tinytorch.node import Node, Where
from tinytorch.operation import Op
from tinytorch.tensor import Tensor
from tinytorch.tracing import Tracer


def user_place(where: Where) -> str | None:
    """'file:line' of the user's call; None where gradcheck itself called the op of a case."""
    if is_harness(where.file):
        return None
    return str(Line(*where))


class RecordedCall:
    """A node of the graph as an `OpCall`."""

    def __init__(self, node: Node, sources: tuple[int | str | None, ...]) -> None:
        self.node = node
        self.sources = sources
        self.name = node.op.name
        self.attrs: Mapping[str, Any] = node.attrs
        self.needs = node.needs
        self.where: str | None = user_place(node.where)
        self.inputs: tuple[Any, ...] = tuple(
            i._data if isinstance(i, Tensor) else i for i in node.inputs
        )
        self.input_names: tuple[str, ...] = node.op.arrays or tuple(
            f"input{i}" for i in range(len(node.inputs))
        )

    @property
    def defined(self) -> str | None:
        """The line of the op; None for one of tinytorch's own."""
        fn = self.node.op.fn
        return None if fn.__module__.partition(".")[0] == "tinytorch" else defined_at(fn)

    def run(self, inputs: Sequence[Any]) -> Array:
        return self.node.op.run(inputs, self.node.attrs)[0]

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        node = self.node
        result, pullback = node.op.run(inputs, node.attrs)
        again = Node(
            node.op, tuple(inputs), node.attrs, pullback, node.needs, result.shape, node.where, []
        )
        return result, lambda cotangent: pull_back(again, cotangent)


class TinyTorch:
    """tinytorch computes in whatever dtype its arrays have."""

    name = "tinytorch"
    precision = Precision()

    def manual_seed(self, seed: int) -> None:
        tinytorch.manual_seed(seed)
        # A no_grad that earlier code left on must not reach into this subject.
        recording.recording = True

    def leaf(self, array: Array, *, trainable: bool, dtype: str | None = None) -> Leaf:
        array = np.array(array)
        if dtype is not None and array.dtype.kind == "f":
            array = array.astype(dtype)
        return Tensor(array, requires_grad=trainable)

    def named_parameters(self, model: Any) -> dict[str, Leaf]:
        buffers = {id(b) for b in self.named_buffers(model).values()}
        return {
            name: leaf
            for name, leaf in walk_leaves(model, Tensor)
            if leaf.node is None and leaf.is_floating_point() and id(leaf) not in buffers
        }

    def named_buffers(self, model: Any) -> dict[str, Leaf]:
        named = getattr(model, "named_buffers", None)
        return dict(named()) if callable(named) else {}

    def not_leaves(self, model: Any) -> dict[str, str]:
        """Floating tensors on the model that are results of ops: name -> the line of the op."""
        return {
            name: str(Line(*leaf.node.where))
            for name, leaf in walk_leaves(model, Tensor)
            if leaf.node is not None and leaf.is_floating_point()
        }

    @contextmanager
    def trace_cuts(self) -> Iterator[Trace]:
        with Tracer() as tracer:
            yield Trace(tracer)

    def holding(self, through: Through) -> AbstractContextManager[None]:
        return holding(through)

    def watch_training(self, listener: TrainingListener) -> AbstractContextManager[None]:
        from gradcheck.frameworks.tinytorch_watch import watch_training

        return watch_training(listener)

    def bridge_cuts(self, cuts: Sequence[Cut]) -> AbstractContextManager[list[str]]:
        from gradcheck.frameworks.tinytorch_watch import bridge_cuts

        return bridge_cuts(cuts)

    def held(self, optimizer: Any) -> list[Leaf]:
        return [leaf for group in optimizer.param_groups for leaf in group["params"]]

    def is_module(self, value: Any) -> bool:
        return isinstance(value, tinytorch.nn.Module)

    @contextmanager
    def replacing(self, in_place_of: InPlaceOf) -> Iterator[None]:
        original = Op.__call__

        def __call__(op: Op, *args: Any, **kwargs: Any) -> Tensor:  # noqa: N807
            __tracebackhide__ = True  # the line of the call is the user's
            result: Tensor = original(op, *args, **kwargs)
            if result.node is not None:
                call = RecordedCall(result.node, (None,) * len(result.node.inputs))
                result._data = in_place_of(call, result._data)
            return result

        Op.__call__ = __call__  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Op.__call__ = original  # type: ignore[method-assign]

    def optimized(self, model: Any) -> list[Leaf]:
        parameters = getattr(model, "parameters", None)
        if callable(parameters):
            return list(parameters())
        return [p for p in self.named_parameters(model).values() if p.requires_grad]

    def cast(self, model: Any, dtype: str) -> None:
        for leaf in [*self.named_parameters(model).values(), *self.named_buffers(model).values()]:
            if leaf.is_floating_point():
                leaf._data = leaf._data.astype(dtype)

    def train_mode(self, model: Any, training: bool) -> None:
        switch = getattr(model, "train", None)
        if callable(switch):
            switch(training)

    def get(self, leaf: Leaf) -> Array:
        return np.array(leaf._data)

    def set(self, leaf: Leaf, array: Array) -> None:
        leaf._data = np.array(array, dtype=leaf._data.dtype)

    def trainable(self, leaf: Leaf) -> bool:
        return bool(leaf.requires_grad)

    def forward(self, fn: Callable[[], Output], *, seed: int) -> Output:
        tinytorch.manual_seed(seed)
        return fn()

    def value(self, output: Output) -> Array:
        return np.array(output._data if isinstance(output, Tensor) else output)

    def backward(self, output: Output, cotangent: Array | None) -> None:
        output.backward(cotangent)

    def join(self, output: Any) -> Output | None:
        found = [t for _, t in walk_leaves(output, Tensor) if t.is_floating_point()]
        found = [t for t in found if t.requires_grad] or found
        if len(found) < 2:
            return found[0] if found else None
        return tinytorch.ops.concat([t.reshape(-1) for t in found])

    def grad(self, leaf: Leaf) -> Array | None:
        return None if leaf.grad is None else np.array(leaf.grad)

    def zero_grad(self, leaves: Sequence[Leaf]) -> None:
        for leaf in leaves:
            leaf.grad = None

    def clip_gradients(self, leaves: Sequence[Leaf], max_norm: float) -> float:
        from tinytorch.nn.utils import clip_grad_norm_

        return clip_grad_norm_(list(leaves), max_norm)

    def call(
        self, op: Callable[..., Output], inputs: Mapping[str, Leaf], args: Mapping[str, Any]
    ) -> Output:
        if getattr(op, "variadic", False):
            args = dict(args)
            leading = [args.pop(name) for name in op.leading if name in args]  # type: ignore[attr-defined]
            return op(*leading, *inputs.values(), **args)
        return call_op(op, inputs, args)

    @contextmanager
    def watch_functions(
        self,
        packages: Sequence[str],
        wanted: Callable[[str, str, int], bool],
        met: Callable[[MetFunction], None],
    ) -> Iterator[list[str]]:
        from gradcheck.frameworks.tinytorch_functions import watched

        with watched(packages, wanted, met) as names:
            yield names

    def tape(self, output: Output, leaves: Mapping[str, Leaf]) -> list[RecordedCall]:
        names = {id(leaf): name for name, leaf in leaves.items()}
        made: dict[int, int] = {}
        calls: list[RecordedCall] = []
        if output.node is None:
            return calls
        for tensor in topological(output):
            if tensor.node is None:
                continue
            sources: list[int | str | None] = [
                made.get(id(s), names.get(id(s))) if isinstance(s, Tensor) else None
                for s in tensor.node.inputs
            ]
            made[id(tensor)] = len(calls)
            calls.append(RecordedCall(tensor.node, tuple(sources)))
        return calls
