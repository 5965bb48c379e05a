"""Models, losses, steps and optimizers that are right, though something about each looks wrong."""

import numpy as np

import tinytorch
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F


class Net(nn.Module):
    """Digits -> logits; `between` is what the others change."""

    def __init__(self, width=12):
        super().__init__()
        self.first = nn.Linear(64, width)
        self.second = nn.Linear(width, 10)

    def forward(self, x):
        return self.second(self.between(self.first(x.reshape(len(x), 64))))

    def between(self, h):
        return h.relu()


class FrozenLayer(Net):
    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(12, 12)
        for p in self.frozen.parameters():
            p.requires_grad = False

    def between(self, h):
        return self.frozen(h.relu()).tanh()


class TrainOnly(Net):
    """A scale that acts in train mode only."""

    def __init__(self):
        super().__init__()
        self.noise = nn.Parameter(np.full(12, 0.1, np.float32))

    def between(self, h):
        return (h * (1.0 + self.noise)).relu() if self.training else h.relu()


class EvalOnly(Net):
    def __init__(self):
        super().__init__()
        self.calibration = nn.Parameter(np.full(12, 1.1, np.float32))

    def between(self, h):
        return h.relu() if self.training else h.relu() * self.calibration


class ZeroHead(Net):
    """The head starts at zero: at first nothing below it has a gradient."""

    def __init__(self):
        super().__init__()
        self.second.weight._data[...] = 0


class ZeroBranch(Net):
    """A residual branch whose gain starts at zero: its weights have a true zero gradient."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Linear(12, 12)
        self.gain = nn.Parameter(np.zeros((), np.float32))

    def between(self, h):
        return (h + self.gain * self.branch(h)).relu()


class TinyAndHuge(Net):
    """Gradients of 1e-7 and of 1e4 in one model."""

    def __init__(self):
        super().__init__()
        self.small = nn.Parameter(np.full(12, 1e5, np.float32))
        self.large = nn.Parameter(np.full(12, 1e-5, np.float32))

    def between(self, h):
        return h.tanh() * (self.small * 1e-5) * (self.large * 1e5)


class BatchNorm(Net):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(12)

    def between(self, h):
        return self.norm(h).relu()


class BiasBeforeNorm(Net):
    """A bias that the norm takes out again: its gradient is truly zero."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(np.full((), 0.3, np.float32))
        self.norm = nn.LayerNorm(12)

    def between(self, h):
        return self.norm(h + self.shift).relu()


class Metrics(Net):
    """Keeps figures of its activations, off the path of the loss."""

    def between(self, h):
        y = h.relu()
        self.__dict__["seen"] = float(y.mean())
        self.__dict__["share"] = np.mean(y.data > 0)
        self.__dict__["copy"] = Tensor(y.data.copy())
        return y


class ScaledByOwnSize(Net):
    """An intended stop-gradient: normalised by a size that counts as constant."""

    def between(self, h):
        y = h.tanh()
        return y / ((y * y).mean().detach() + 1.0).sqrt()


class Teacher(Net):
    """A frozen copy of itself takes part in the forward."""

    def __init__(self):
        super().__init__()
        self.teacher = nn.Linear(64, 10)
        for p in self.teacher.parameters():
            p.requires_grad = False

    def forward(self, x):
        return super().forward(x) + 0.1 * self.teacher(x.reshape(len(x), 64)).softmax(-1)


class Average(Net):
    """Keeps a moving average of a weight, which nothing depends on."""

    def __init__(self):
        super().__init__()
        self.average = Tensor(self.first.weight.data.copy())

    def between(self, h):
        return F.silu(h)


class Listed(Net):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 12) for _ in range(2)])

    def between(self, h):
        for layer in self.layers:
            h = F.gelu(layer(h))
        return h


class Shared(Net):
    """One layer used twice, and registered under two names."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(12, 12)
        self.b = self.a

    def between(self, h):
        return self.b(self.a(h).tanh()).tanh()


class Temperature(Net):
    """A parameter that is a single number, and one of shape (1,)."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(np.array(1.5, np.float32))
        self.offset = nn.Parameter(np.array([0.2], np.float32))

    def between(self, h):
        return (h / self.temperature + self.offset).tanh()


class Maxout(Net):
    def __init__(self):
        super().__init__(width=24)
        self.second = nn.Linear(8, 10)

    def between(self, h):
        return tinytorch.amax(h.reshape(len(h), 8, 3), dim=-1)


class WeightNorm(Net):
    def __init__(self):
        super().__init__()
        self.direction = nn.Parameter(np.random.standard_normal((12, 12)))
        self.length = nn.Parameter(np.ones(12, np.float32))

    def between(self, h):
        size = (self.direction * self.direction).sum(-1, keepdim=True).sqrt()
        return (h @ (self.direction / size).transpose(0, 1) * self.length).relu()


class Gated(Net):
    """A hard gate by comparison, which has no gradient of its own and needs none."""

    def between(self, h):
        gate = Tensor((h.data > 0.1).astype(h.dtype))
        return h * gate + 0.1 * h


class Maskable(nn.Module):
    """ids (B, T) -> classes, by attention over the positions; key bias truly without effect."""

    def __init__(self, width=8):
        super().__init__()
        self.embedding = nn.Embedding(28, width)
        self.query = nn.Parameter(0.3 * np.random.standard_normal(width))
        self.key = nn.Linear(width, width)
        self.head = nn.Linear(width, 28)

    def forward(self, ids):
        x = self.embedding(ids)  # (B, T, C)
        scores = (self.key(x) @ self.query) / 8**0.5  # (B, T)
        weights = F.softmax(scores, -1)
        return self.head((x * weights.unsqueeze(-1)).sum(1))  # (B, 28)


MODELS = {
    f"correct_{c.__name__}": c
    for c in (
        Net, FrozenLayer, TrainOnly, EvalOnly, ZeroHead, ZeroBranch, TinyAndHuge, BatchNorm,
        BiasBeforeNorm, Metrics, ScaledByOwnSize, Teacher, Average, Listed, Shared, Temperature,
        Maxout, WeightNorm, Gated, Maskable,
    )
}  # fmt: skip
