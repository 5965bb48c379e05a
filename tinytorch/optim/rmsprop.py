"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinytorch.optim.optimizer import Array, Group, Optimizer, OptimizerError, pieces
from tinytorch.tensor import Tensor


class RMSprop(Optimizer):
    """p -= lr g / (sqrt(s) + eps), s = alpha s + (1 - alpha) g², g = grad + weight_decay p.

    centered: s minus the square of the running mean of g. momentum: b = momentum b + g / (...),
    p -= lr b. Hinton's lecture 6 (2012), eps outside of the root as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        super().check(group)
        if not group["alpha"] >= 0:
            raise OptimizerError(f"RMSprop needs alpha >= 0, got {group['alpha']!r}")

    def update(self, group: Group, p: Tensor, grad: Array) -> None:
        lr, eps, decay, momentum, alpha = (
            float(group[k]) for k in ("lr", "eps", "weight_decay", "momentum", "alpha")
        )
        names = ["square_avg"]
        names += ["grad_avg"] if group["centered"] else []
        names += ["momentum_buffer"] if momentum else []
        state = self.state_of(p, *names)
        for w, g, s, *more in pieces(p._data, grad, *(state[n] for n in names)):
            if decay:
                g = g + decay * w
            d = g * g
            d *= 1 - alpha
            s *= alpha
            s += d
            if group["centered"]:
                mean = more.pop(0)
                mean *= alpha
                mean += (1 - alpha) * g
                np.multiply(mean, mean, out=d)
                np.subtract(s, d, out=d)
                np.sqrt(d, out=d)
            else:
                np.sqrt(s, out=d)
            d += eps
            np.divide(g, d, out=d)
            if momentum:
                b = more.pop(0)
                b *= momentum
                b += d
                w -= lr * b
            else:
                d *= lr
                w -= d
