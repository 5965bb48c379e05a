"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinytorch.optim.optimizer import Array, Group, Optimizer, OptimizerError, pieces
from tinytorch.tensor import Tensor


class Adam(Optimizer):
    """p -= lr mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^t), vhat = v / (1 - beta2^t),
    m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g², g = grad + weight_decay p.

    With amsgrad the largest v so far takes v's place. Kingma and Ba 2015; Reddi et al. 2018.
    """

    decoupled = False  # AdamW: the weights decay by themselves, not through the gradient

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        super().check(group)
        betas = tuple(group["betas"])
        if len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise OptimizerError(
                f"{type(self).__name__} needs two betas from 0 to below 1, got {group['betas']!r}"
            )

    def update(self, group: Group, p: Tensor, grad: Array) -> None:
        lr, eps, decay = (float(group[k]) for k in ("lr", "eps", "weight_decay"))
        beta1, beta2 = (float(b) for b in group["betas"])
        amsgrad = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        names = ("exp_avg", "exp_avg_sq", *amsgrad)
        state = self.state_of(p, *names)
        step = state["step"] = state.get("step", 0) + 1
        size = lr / (1 - beta1**step)
        root = 1 / math.sqrt(1 - beta2**step)
        for w, g, m, v, *largest in pieces(p._data, grad, *(state[n] for n in names)):
            if decay and self.decoupled:
                w *= 1 - lr * decay
            elif decay:
                g = g + decay * w
            m *= beta1
            d = g * (1 - beta1)  # the one temporary
            m += d
            np.multiply(g, g, out=d)
            d *= 1 - beta2
            v *= beta2
            v += d
            if largest:
                np.maximum(largest[0], v, out=largest[0])
                v = largest[0]
            np.sqrt(v, out=d)
            d *= root
            d += eps
            np.divide(m, d, out=d)
            d *= size
            w -= d


class AdamW(Adam):
    """Adam whose weights decay by themselves: p *= 1 - lr weight_decay before each step.

    Loshchilov and Hutter 2019.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
