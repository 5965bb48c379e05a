"""What a training script does with tinytorch, told to a listener; and cuts of it, bridged.

`__tracebackhide__` in a function tells tinytorch that its lines are nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.frameworks.bridge import positions
from gradcheck.frameworks.protocol import Cut, TrainingListener
from gradcheck.source.line import Line
from tinytorch.data import DataLoader
from tinytorch.grad_mode import state as recording
from tinytorch.nn import Module
from tinytorch.operation import Op
from tinytorch.optim import Optimizer
from tinytorch.tensor import Tensor
from tinytorch.tracing import Place, Tracer

LOSSES = (
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "huber_loss",
    "binary_cross_entropy_with_logits",
)


@contextmanager
def watch_training(listener: TrainingListener) -> Iterator[None]:
    """Replace the ways to make an optimizer, to call a model or a loss, to go back and to step."""
    saved: dict[tuple[Any, str], Any] = {}

    def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        saved[owner, name] = owner.__dict__[name]
        setattr(owner, name, make(owner.__dict__[name]))

    replace(Tensor, "backward", lambda f: _backward(f, listener))
    replace(Module, "__call__", lambda f: _model(f, listener))
    replace(Op, "__call__", lambda f: _loss(f, listener))
    replace(DataLoader, "__iter__", lambda f: _loader(f, listener))

    def made(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            __tracebackhide__ = True
            original(self, *args, **kwargs)
            owner = next(c for c in type(self).__mro__ if "step" in c.__dict__)
            if (owner, "step") not in saved:
                replace(owner, "step", lambda f: _step(f, listener))
            listener.optimizer_made(self)

        return __init__

    replace(Optimizer, "__init__", made)
    try:
        yield
    finally:
        for (owner, name), original in saved.items():
            setattr(owner, name, original)


def _backward(original: Any, listener: TrainingListener) -> Any:
    def backward(self: Tensor, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        if listener.before_backward(self):
            original(self, *args, **kwargs)
        listener.after_backward(self)

    return backward


def _step(original: Any, listener: TrainingListener) -> Any:
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        listener.before_step(self)
        result = original(self, *args, **kwargs)
        listener.after_step(self)
        return result

    return step


def _model(original: Any, listener: TrainingListener) -> Any:
    depth = 0

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        __tracebackhide__ = True
        nonlocal depth
        depth += 1
        try:
            output = original(self, *args, **kwargs)
        finally:
            depth -= 1
        if depth == 0:
            listener.model_called(self, args, kwargs, output)
        return output

    return __call__


def _loss(original: Any, listener: TrainingListener) -> Any:
    def __call__(self: Op, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        __tracebackhide__ = True
        result = original(self, *args, **kwargs)
        if self.name in LOSSES:
            inputs, options = self.bind(args, kwargs)
            listener.loss_called(self.name, inputs[0], inputs[1], options, result)
        return result

    return __call__


def _loader(original: Any, listener: TrainingListener) -> Any:
    def __iter__(self: Any) -> Iterator[Any]:  # noqa: N807
        __tracebackhide__ = True
        for number, batch in enumerate(original(self)):
            listener.batch_drawn(self, number)
            yield batch

    return __iter__


def _carried(x, index: Any, shape: Any):  # type: ignore[no-untyped-def]  # x alone is an array
    """Values of x at the flat places `index`, in a new shape."""

    def pull(g: Any) -> Any:
        total = np.zeros(x.size, g.dtype)
        np.add.at(total, index, g.reshape(-1))
        return total.reshape(x.shape)

    return x.reshape(-1)[index].reshape(shape), pull


carried = Op(_carried, "carried_over_a_cut")


class BridgingTracer(Tracer):
    """A tracer under which the tensors that are made on given lines stay in the graph."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        super().__init__()
        self.building = False
        self.failed: list[str] = []
        self._lines = {cut.where for cut in cuts}

    def forget(self) -> None:
        """A step is done: nothing of it is needed any more."""
        fresh = Tracer()
        self.made, self.memory, self.born = fresh.made, fresh.memory, fresh.born

    def _here(self, at: Place | None) -> bool:
        return at is not None and str(Line(*at.user)) in self._lines

    def _init(self, original: Any) -> Any:
        traced_init = super()._init(original)

        def __init__(  # noqa: N807
            tensor: Tensor, data: Any, requires_grad: bool = False, dtype: Any = None
        ) -> None:
            __tracebackhide__ = True
            traced_init(tensor, data, requires_grad, dtype)
            self._join(tensor)

        return __init__

    def _detach(self, original: Any) -> Any:
        traced_detach = super()._detach(original)

        def detach(tensor: Tensor) -> Tensor:
            __tracebackhide__ = True
            result: Tensor = traced_detach(tensor)
            self._join(result)
            return result

        return detach

    def _enter(self, original: Any) -> Any:
        traced_enter = super()._enter(original)

        def __enter__(context: Any) -> Any:  # noqa: N807
            __tracebackhide__ = True
            result = traced_enter(context)
            if self.quiet and self._here(self.quiet[-1]):
                recording.recording = True
            return result

        return __enter__

    def _join(self, tensor: Tensor) -> None:
        """Give a new leaf the node that its values came from."""
        made = self.made.get(id(tensor))
        if made is None or not self._here(made.at):
            return
        sources = [
            e.source
            for e in made.edges
            if e.source is not None and e.cut in ("rebuilt", "detach") and e.source.requires_grad
        ]
        if len(sources) != 1:
            return
        index = positions(tensor._data, sources[0]._data)
        if index is None:
            self.failed.append("the new tensor holds other values than the one it was made from")
            return
        joined = carried(sources[0], index=index, shape=tensor.shape)
        tensor.node, tensor.requires_grad = joined.node, True


@contextmanager
def bridge_cuts(cuts: Sequence[Cut]) -> Iterator[list[str]]:
    """See `BridgesCuts`."""
    tracer = BridgingTracer(cuts)
    with tracer:
        original = Tensor.backward

        def backward(self: Tensor, *args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            original(self, *args, **kwargs)
            tracer.forget()

        Tensor.backward = backward  # type: ignore[method-assign]
        try:
            yield tracer.failed
        finally:
            Tensor.backward = original  # type: ignore[method-assign]
