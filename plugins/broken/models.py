"""Models in which something does not train, or not as it should. Nothing crashes in any of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinytorch import Tensor, nn
from tinytorch.nn import functional as F


class TwoLayers(nn.Module):
    """What the models here have in common: digits (B, 1, 8, 8) -> logits (B, 10)."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.first = nn.Linear(64, hidden)
        self.second = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x.reshape(len(x), 64))))

    def between(self, h: Tensor) -> Tensor:
        return h.relu()


class RebuiltActivation(TwoLayers):
    """The activation is computed by numpy, on `h.data`: the first layer gets no gradient."""

    def between(self, h: Tensor) -> Tensor:
        return Tensor(np.maximum(h.data, 0))


class DetachedBranch(TwoLayers):
    """A residual branch whose output is detached: the layer on it gets no gradient."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__(hidden)
        self.branch = nn.Linear(hidden, hidden)

    def between(self, h: Tensor) -> Tensor:
        return (h + self.branch(h).detach()).relu()


class HiddenLayer(TwoLayers):
    """A layer kept in a plain dict: used, but not among `parameters()`."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__(hidden)
        self.extra = {"layer": nn.Linear(hidden, hidden)}

    def between(self, h: Tensor) -> Tensor:
        return self.extra["layer"](h.relu()).relu()


class FrozenNorm(TwoLayers):
    """Scale and shift of the norm are plain tensors: nothing says that they should train."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__(hidden)
        self.scale = Tensor(np.ones(hidden, np.float32))
        self.shift = Tensor(np.zeros(hidden, np.float32))

    def between(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, (h.shape[-1],), self.scale, self.shift).relu()


class UnusedParameter(TwoLayers):
    """A table of positions that the forward never looks at."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__(hidden)
        self.positions = nn.Parameter(np.zeros((hidden,), np.float32))


class ForgottenLayer(TwoLayers):
    """`parameters()` leaves out the second layer, so no optimizer gets to see it."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return self.first.parameters()
