"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinytorch.optim.optimizer import Array, Group, Optimizer, OptimizerError, pieces
from tinytorch.tensor import Tensor


class SGD(Optimizer):
    """p -= lr b, with b = momentum b + (1 - dampening) g and g = grad + weight_decay p.

    The first b is g itself; with nesterov the step is g + momentum b. PyTorch's form of Sutskever
    et al. 2013 (lr outside of the velocity).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise OptimizerError("SGD with nesterov=True needs a momentum above 0 and dampening=0")

    def update(self, group: Group, p: Tensor, grad: Array) -> None:
        lr, momentum = float(group["lr"]), float(group["momentum"])
        decay, keep = float(group["weight_decay"]), 1 - float(group["dampening"])
        if not momentum:
            for w, g in pieces(p._data, grad):
                w -= lr * (g + decay * w if decay else g)
            return
        first = "momentum_buffer" not in self.state.get(p, {})
        state = self.state_of(p, "momentum_buffer")
        for w, g, b in pieces(p._data, grad, state["momentum_buffer"]):
            if decay:
                g = g + decay * w
            if first:
                b[...] = g
            else:
                b *= momentum
                b += keep * g
            w -= lr * (g + momentum * b if group["nesterov"] else b)
