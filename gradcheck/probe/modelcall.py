"""How a training step calls its model: with which arguments, by position or by name; and the steps
that need no writing, the default one and that of a model with its own loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import Leaf, Output
from gradcheck.probe.batches import divided

IsTensor = Callable[[Any], bool]


@dataclass(frozen=True)
class ModelCall:
    """model(*args, **kwargs). made: whether a step really called the model so."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    made: bool = True

    @classmethod
    def of_default_step(cls, batch: Any) -> ModelCall:
        """All but the target, by position; by name where the fields of the batch have names."""
        if isinstance(batch, Mapping):
            return cls(kwargs=divided(batch)[0])
        return cls(tuple(batch[:-1]))

    def tensors(self, is_tensor: IsTensor) -> list[Leaf]:
        """The tensors among the arguments, in order."""
        return [tensor for _, tensor in parts((self.args, dict(self.kwargs)), is_tensor)]

    def on(self, tensors: Sequence[Leaf], is_tensor: IsTensor) -> ModelCall:
        """The same call with other tensors, in the order of `tensors`."""
        new = iter(tensors)
        args, kwargs = replaced(
            (self.args, dict(self.kwargs)), is_tensor, lambda _, old: next(new, old)
        )
        return ModelCall(args, kwargs, self.made)

    def run(self, model: Any) -> Output:
        return model(*self.args, **self.kwargs)


@contextmanager
def noting_calls(model: Any) -> Iterator[list[ModelCall]]:
    """The calls of a model meanwhile, also those of its `forward`, without the calls within calls.

    The model gets a subclass of its class for as long. One whose class cannot be changed, such as a
    function, is not watched.
    """
    calls: list[ModelCall] = []
    cls = type(model)
    depth = 0

    def noted(name: str) -> Callable[..., Any]:
        original = getattr(cls, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            if self is model and depth == 0:
                calls.append(ModelCall(args, kwargs))
            depth += 1
            try:
                return original(self, *args, **kwargs)
            finally:
                depth -= 1

        return call

    members = {n: noted(n) for n in ("__call__", "forward") if callable(getattr(cls, n, None))}
    own = {"__slots__": (), "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    try:
        meta: Any = type(cls)
        model.__class__ = meta(cls.__name__, (cls,), {**own, **members})
    except TypeError:
        yield calls
        return
    try:
        yield calls
    finally:
        model.__class__ = cls


def default_step(model: Any, batch: Any, loss: Any) -> Output:
    """loss(model(inputs), target); a batch whose fields have names is passed by them."""
    call = ModelCall.of_default_step(batch)
    target = divided(batch)[1] if isinstance(batch, Mapping) else batch[-1]
    return loss(call.run(model), target)


def own_loss(model: Any, batch: Any, loss: Any) -> Output:
    """For a model that gets the target too and returns its loss: alone, as `output.loss`, under
    'loss' in a dict, or at the start of a tuple. A step like any other."""
    return model(**batch) if isinstance(batch, Mapping) else model(*batch)
