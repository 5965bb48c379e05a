"""Data sets, training steps and optimizers that are right, each a little unusual."""

import numpy as np

import tinytorch
from tinytorch import Tensor, optim
from tinytorch.nn.utils import clip_grad_norm_
from tinytorch.optim import lr_scheduler


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
    """Augmented again at every look."""

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


def between(change):
    """The usual update with something done between backward and step."""

    def train(model, batch, loss, optimizer):
        optimizer.zero_grad()
        value = step(model, batch, loss)
        value.backward()
        change(model)
        optimizer.step()
        return value

    return train


def entries_clipped(model):
    for p in model.parameters():
        p.grad = np.clip(p.grad, -0.01, 0.01)


def tensors_clipped(model):
    for p in model.parameters():
        clip_grad_norm_([p], 0.05)


def decayed_by_hand(model):
    for p in model.parameters():
        if p.ndim > 1:
            p.grad = p.grad + 0.1 * p._data


def not_a_number_skipped(model):
    if all(np.isfinite(p.grad).all() for p in model.parameters()):
        return
    for p in model.parameters():
        p.grad = None


def loss_of_the_last_part(model, batch, loss, optimizer):
    """Micro-batches as they should be; what is returned is the loss of the last one, scaled."""
    optimizer.zero_grad()
    half = len(batch[0]) // 2
    for part in (slice(0, half), slice(half, None)):
        value = step(model, tuple(b[part] for b in batch), loss) / 2.0
        value.backward()
    optimizer.step()
    return value


def every_second_call(model, batch, loss, optimizer):
    """Gradients are added up over two calls."""
    calls = model.__dict__["calls"] = model.__dict__.get("calls", 0) + 1
    if calls % 2:
        optimizer.zero_grad()
    value = step(model, batch, loss)
    (value / 2.0).backward()
    if calls % 2 == 0:
        optimizer.step()
    return value


def with_a_penalty(model, batch, loss, optimizer):
    optimizer.zero_grad()
    value = step(model, batch, loss)
    for p in model.parameters():
        value = value + 0.01 * (p * p).sum()
    value.backward()
    optimizer.step()
    return value


STEPS = {
    "correct_entries_clipped": between(entries_clipped),
    "correct_tensors_clipped": between(tensors_clipped),
    "correct_decayed_by_hand": between(decayed_by_hand),
    "correct_not_a_number_skipped": between(not_a_number_skipped),
    "correct_loss_of_the_last_part": loss_of_the_last_part,
    "correct_every_second_call": every_second_call,
    "correct_with_a_penalty": with_a_penalty,
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


class Adamax:
    """Kingma and Ba 2015, algorithm 2: not Adam, whatever its name begins with."""

    def __init__(self, params, lr=0.002, betas=(0.9, 0.999), eps=1e-8):
        self.params, self.lr, self.betas, self.eps, self.t = list(params), lr, betas, eps, 0
        self.m = [np.zeros(p.shape, p.dtype) for p in self.params]
        self.u = [np.zeros(p.shape, p.dtype) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for p, m, u in zip(self.params, self.m, self.u):
            if p.grad is not None:
                m += (1 - b1) * (p.grad - m)
                np.maximum(b2 * u, np.abs(p.grad), out=u)
                p._data = p._data - self.lr / (1 - b1**self.t) * m / (u + self.eps)


class Adagrad:
    def __init__(self, params, lr=0.01):
        self.params, self.lr = list(params), lr
        self.total = [np.zeros(p.shape, p.dtype) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p, total in zip(self.params, self.total):
            if p.grad is not None:
                total += p.grad * p.grad
                p._data = p._data - self.lr * p.grad / (np.sqrt(total) + 1e-10)


OPTIMIZERS = {
    "correct_adamax": Adamax,
    "correct_adagrad": Adagrad,
    "correct_two_rates": two_rates,
    "correct_lion": Lion,
    "correct_trainable_only": trainable_only,
}
