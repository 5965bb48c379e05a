"""The ops as `torch.autograd.Function`, the models' batch as tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from . import models


def torch_op(fn: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """`fn` with its own pullback, called with tensors in the order of `names` or by name."""

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            y, ctx.pullback = fn(*(t.detach().numpy() for t in tensors))
            ctx.dtypes = [t.dtype for t in tensors]
            return torch.from_numpy(np.array(y, dtype=tensors[0].detach().numpy().dtype))

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            grads = ctx.pullback(cotangents[0].detach().numpy())
            grads = grads if isinstance(grads, tuple) else (grads,)
            return tuple(
                None if g is None else torch.from_numpy(np.array(g)).to(dtype)
                for g, dtype in zip(grads, ctx.dtypes)
            )

    def call(*tensors: Any, **named: Any) -> Any:
        return Wrapped.apply(*tensors, *(named[n] for n in names[len(tensors) :]))

    call.__name__ = fn.__name__
    call.__wrapped__ = fn  # type: ignore[attr-defined]
    return call


class OpModule(torch.nn.Module):
    """An op as a module, integer inputs held fast."""

    def __init__(self, subject: Any) -> None:
        super().__init__()
        self.op = torch_op(subject.fn, list(subject.arrays))
        self.kind = [a.dtype.kind for a in subject.arrays.values()]
        self.fixed = [torch.from_numpy(a) for a in subject.arrays.values() if a.dtype.kind != "f"]

    def forward(self, *tensors: Any) -> Any:
        given, fixed = iter(tensors), iter(self.fixed)
        return self.op(*(next(given if kind == "f" else fixed) for kind in self.kind))


def leaves(arrays: dict[str, Any]) -> tuple[Any, ...]:
    """Tensors; those with floats require a gradient."""
    return tuple(
        torch.from_numpy(a.copy()).requires_grad_(a.dtype.kind == "f") for a in arrays.values()
    )


def model_of(subject: Any) -> tuple[Any, Any, Any, Any]:
    """model, (ids, targets), loss, optimizer of a model subject."""
    torch.manual_seed(0)
    model = models.make_model(torch, subject.fault("model"))
    ids, targets = models.Chars(subject.fault("data")).batch()
    return (
        model,
        (torch.from_numpy(ids), torch.from_numpy(targets)),
        models.make_loss(torch, subject.fault("loss")),
        models.make_optimizer(torch, model, subject.fault("optimizer")),
    )
