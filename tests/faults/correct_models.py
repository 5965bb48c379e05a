"""Models, losses, steps and optimizers that are right, though something about each looks wrong."""

import numpy as np

import tinytorch
from tinytorch import Tensor, nn, optim
from tinytorch.nn import functional as F
from tinytorch.nn.utils import clip_grad_norm_
from tinytorch.optim import lr_scheduler


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
    """A stop-gradient that is meant: normalised by a size that counts as constant."""

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


class FirstCharacter:
    """A window of text and the character after it: one target a window."""

    def __init__(self, length=6, samples=64):
        rng = np.random.default_rng(3)
        self.ids = rng.integers(0, 28, samples + length)
        self.length = length

    def __len__(self):
        return len(self.ids) - self.length

    def __getitem__(self, i):
        return self.ids[i : i + self.length], self.ids[i + self.length]


class Noisy:
    """Augmented anew at every look."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.y = rng.standard_normal((64, 64)), rng.integers(0, 10, 64)

    def __len__(self):
        return 64

    def __getitem__(self, i):
        noise = np.random.standard_normal(64)
        return (self.x[i] + 0.01 * noise).astype(np.float32), self.y[i]


class Repeats:
    """Every sample is there twice."""

    def __init__(self):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((20, 64)).astype(np.float32), rng.integers(0, 10, 20)
        self.x, self.y = np.concatenate([x, x]), np.concatenate([y, y])

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Uneven:
    """Inputs that occur under two labels."""

    def __init__(self):
        self.x = np.repeat(np.eye(8, 64, dtype=np.float32), 3, axis=0)
        self.y = np.arange(24) % 10

    def __len__(self):
        return 24

    def __getitem__(self, i):
        return self.x[i], self.y[i]


DATASETS = {
    "correct_first_character": FirstCharacter,
    "correct_noisy": Noisy,
    "correct_repeats": Repeats,
    "correct_uneven": Uneven,
}


def step(model, batch, loss):
    return loss(model(*batch[:-1]), batch[-1])


def clipped(model, batch, loss, optimizer):
    optimizer.zero_grad()
    value = step(model, batch, loss)
    value.backward()
    clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return value


def in_micro_batches(model, batch, loss, optimizer):
    optimizer.zero_grad()
    total, count = 0.0, 4
    size = len(batch[0]) // count
    for k in range(count):
        part = tuple(b[k * size : (k + 1) * size] for b in batch)
        value = step(model, part, loss) / float(count)
        value.backward()
        total += float(value)
    optimizer.step()
    return Tensor(np.array(total))


def logged(model, batch, loss, optimizer):
    optimizer.zero_grad()
    logits = model(*batch[:-1])
    value = loss(logits, batch[-1])
    accuracy = float(np.mean(logits.data.argmax(-1) == batch[-1].data))
    history = model.__dict__.setdefault("history", [])
    history.append((value.item(), accuracy))
    value.backward()
    optimizer.step()
    return value


def filled_with_zeros(model, batch, loss, optimizer):
    optimizer.zero_grad(set_to_none=False)
    value = step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value


def zeroed_at_the_end(model, batch, loss, optimizer):
    value = step(model, batch, loss)
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    return value


def warming_up(model, batch, loss, optimizer):
    """The rate rises over the first steps, from a tenth of the optimizer's."""
    schedule = model.__dict__.get("schedule")
    if schedule is None or schedule.optimizer is not getattr(optimizer, "_optimizer", optimizer):
        inner = getattr(optimizer, "_optimizer", optimizer)
        schedule = model.__dict__["schedule"] = lr_scheduler.LinearLR(inner, 0.1, total_iters=5)
    value = filled_with_zeros(model, batch, loss, optimizer)
    schedule.step()
    return value


def averaged_afterwards(model, batch, loss, optimizer):
    value = zeroed_at_the_end(model, batch, loss, optimizer)
    if hasattr(model, "average"):
        model.average._data = 0.9 * model.average._data + 0.1 * model.first.weight._data
    return value


def validated_in_between(model, batch, loss, optimizer):
    value = filled_with_zeros(model, batch, loss, optimizer)
    model.eval()
    with tinytorch.no_grad():
        model(*batch[:-1])
    model.train()
    return value


STEPS = {
    "correct_clipped": clipped,
    "correct_in_micro_batches": in_micro_batches,
    "correct_logged": logged,
    "correct_filled_with_zeros": filled_with_zeros,
    "correct_zeroed_at_the_end": zeroed_at_the_end,
    "correct_warming_up": warming_up,
    "correct_averaged_afterwards": averaged_afterwards,
    "correct_validated_in_between": validated_in_between,
}


def two_rates(model, lr=0.01):
    """Biases without decay and at another rate, as is usual."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return optim.AdamW(
        [
            {"params": weights, "lr": lr, "weight_decay": 0.1},
            {"params": others, "lr": 3 * lr, "weight_decay": 0.0},
        ]
    )


class Lion:
    """Chen et al. 2023: a rule that the harness has no closed form for."""

    def __init__(self, params, lr=0.001, beta=0.9):
        self.params, self.lr, self.beta = list(params), lr, beta
        self.memory = [np.zeros(p.shape, p.dtype) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p, m in zip(self.params, self.memory):
            if p.grad is not None:
                p._data -= self.lr * np.sign(self.beta * m + (1 - self.beta) * p.grad)
                m += (1 - self.beta) * (p.grad - m)


def trainable_only(model, lr=0.01):
    return optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)


OPTIMIZERS = {
    "correct_two_rates": two_rates,
    "correct_lion": Lion,
    "correct_trainable_only": trainable_only,
}
