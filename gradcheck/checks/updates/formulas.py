"""The update rules of common optimizers, written from their papers, for one tensor.

A rule is an object called as rule(value, gradient, hyper) -> new value; it remembers its moments.
SGD with momentum as in PyTorch (Sutskever et al. 2013, with the rate outside the velocity);
Adam: Kingma and Ba 2015, algorithm 1; AdamW: Loshchilov and Hutter 2019, algorithm 2;
RMSprop: Tieleman and Hinton 2012, with PyTorch's epsilon outside the root; Adagrad: Duchi et al.
2011.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array

Hyper = Mapping[str, Any]
"""Hyper-parameters by name: `lr`, `betas`, `weight_decay`, ..."""


class Sgd:
    """v = momentum * v + g;  w -= lr * v  (nesterov: lr * (g + momentum * v))."""

    def __init__(self) -> None:
        self.velocity: Array | None = None

    def __call__(self, w: Array, g: Array, s: Hyper) -> Array:
        g = g + s.get("weight_decay", 0.0) * w
        momentum = s.get("momentum", 0.0)
        if momentum:
            if self.velocity is None:
                self.velocity = g
            else:
                self.velocity = momentum * self.velocity + (1 - s.get("dampening", 0.0)) * g
            g = g + momentum * self.velocity if s.get("nesterov") else self.velocity
        return w - s["lr"] * g


class Adam:
    """m, v: running means of g and g^2, corrected for their start at zero."""

    decoupled = False
    corrected = True

    def __init__(self) -> None:
        self.m: Any = 0.0
        self.v: Any = 0.0
        self.largest: Any = 0.0
        self.t = 0

    def __call__(self, w: Array, g: Array, s: Hyper) -> Array:
        b1, b2 = s.get("betas") or (s.get("beta1", 0.9), s.get("beta2", 0.999))
        lr, decay = s["lr"], s.get("weight_decay", 0.01 if self.decoupled else 0.0)
        if self.decoupled:
            w = w - lr * decay * w
        else:
            g = g + decay * w
        self.t += 1
        self.m = b1 * self.m + (1 - b1) * g
        self.v = b2 * self.v + (1 - b2) * g * g
        m, v = self.m, self.v
        if s.get("amsgrad"):  # Reddi et al. 2018
            v = self.largest = np.maximum(self.largest, v)
        if self.corrected:
            m, v = m / (1 - b1**self.t), v / (1 - b2**self.t)
        return w - lr * m / (np.sqrt(v) + s.get("eps", 1e-8))


class AdamW(Adam):
    """Adam with the decay applied to the weights, not to the gradient."""

    decoupled = True


class UncorrectedAdam(Adam):
    corrected = False


class UncorrectedAdamW(AdamW):
    corrected = False


class CoupledAdamW(Adam):
    """Adam's decay in AdamW's place."""

    def __call__(self, w: Array, g: Array, s: Hyper) -> Array:
        return super().__call__(w, g, {"weight_decay": 0.01, **s})


class RmsProp:
    """w -= lr * g / (sqrt(running mean of g^2) + eps)."""

    def __init__(self) -> None:
        self.square: Any = 0.0
        self.mean: Any = 0.0
        self.velocity: Any = 0.0

    def __call__(self, w: Array, g: Array, s: Hyper) -> Array:
        g = g + s.get("weight_decay", 0.0) * w
        alpha = s.get("alpha", 0.99)
        self.square = alpha * self.square + (1 - alpha) * g * g
        square = self.square
        if s.get("centered"):
            self.mean = alpha * self.mean + (1 - alpha) * g
            square = square - self.mean**2
        move = g / (np.sqrt(square) + s.get("eps", 1e-8))
        if s.get("momentum"):
            move = self.velocity = s["momentum"] * self.velocity + move
        return w - s["lr"] * move


class Adagrad:
    """w -= lr * g / (sqrt(sum of g^2) + eps) (Duchi et al. 2011, with PyTorch's options)."""

    def __init__(self) -> None:
        self.total: Any = None
        self.t = 0

    def __call__(self, w: Array, g: Array, s: Hyper) -> Array:
        g = g + s.get("weight_decay", 0.0) * w
        if self.total is None:
            self.total = s.get("initial_accumulator_value", 0.0)
        self.total = self.total + g * g
        rate = s["lr"] / (1 + self.t * s.get("lr_decay", 0.0))
        self.t += 1
        return w - rate * g / (np.sqrt(self.total) + s.get("eps", 1e-10))


class Ascent(Sgd):
    """Plain SGD with the sign flipped."""

    def __call__(self, w: Array, g: Array, s: Hyper) -> Array:
        return super().__call__(w, -g, s)


FORMS: dict[str, type[Any]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RmsProp,
    "adagrad": Adagrad,
}
SLIPS: dict[str, tuple[tuple[type[Any], str], ...]] = {
    "sgd": ((Ascent, "it climbs: the gradient is added, not subtracted"),),
    "adam": (
        (UncorrectedAdam, "the bias correction 1/(1 - beta^t) is missing"),
        (AdamW, "the weight decay is decoupled, as in AdamW"),
    ),
    "adamw": (
        (UncorrectedAdamW, "the bias correction 1/(1 - beta^t) is missing"),
        (CoupledAdamW, "the weight decay goes through the gradient, as in Adam"),
    ),
    "rmsprop": (),
    "adagrad": (),
}
"""Known slips of each rule, and what to say when the optimizer follows one of them."""
