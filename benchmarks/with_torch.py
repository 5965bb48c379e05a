"""torch.autograd.gradcheck, slow or fast, on the jobs of `gradient.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from contestants import SIZES, sampled, seconds_of, smallest_seen
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn import functional as F

FAST = False


class Spoil(torch.autograd.Function):
    """The identity, with one entry of the gradient off by a relative error."""

    entry: Any = ()
    error = 0.0

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        g = g.clone()
        g[Spoil.entry] *= 1 + Spoil.error
        return g


SUBJECTS = {
    "sin": (torch.sin, (3, 4)),
    "softmax": (lambda x: torch.softmax(x, -1), (3, 4)),
    "mean": (torch.mean, (1000,)),
}


def complains(fn: Any, leaves: Any) -> bool:
    return not gradcheck(fn, leaves, fast_mode=FAST, raise_exception=False)


def seen(subject: str) -> dict[str, Any]:
    torch.manual_seed(0)
    if subject == "transformer":
        fn, x = of_one_leaf("blocks.0.norm2.weight")
    else:
        fn, shape = SUBJECTS[subject]
        x = torch.randn(shape, dtype=torch.float64)
    x = x.detach().requires_grad_(True)
    y = fn(x)
    y.backward(torch.randn_like(y))
    entries = sampled(x.grad.numpy(), 3)

    def wrong(entry: tuple[int, ...], error: float) -> bool:
        Spoil.entry, Spoil.error = entry, error
        return complains(lambda v: fn(Spoil.apply(v)), (x.detach().requires_grad_(True),))

    return {"smallest": smallest_seen(wrong, entries)}


def model() -> Any:
    from gradcheck.names import load as plugins

    torch.manual_seed(0)
    factory = plugins.load().get("model", "gpt", "pytorch").value
    return factory(**SIZES).double()


def batch() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    draw = lambda: torch.tensor(rng.integers(0, 16, (2, 8)))  # noqa: E731
    return draw(), draw()


def whole() -> tuple[Any, Any]:
    made = model()
    names = [n for n, _ in made.named_parameters()]
    leaves = tuple(p.detach().requires_grad_(True) for p in made.parameters())
    ids, targets = batch()

    def loss(*values: Any) -> Any:
        logits = functional_call(made, dict(zip(names, values)), (ids,))
        return F.cross_entropy(logits.reshape(-1, 16), targets.reshape(-1))

    return loss, leaves


def of_one_leaf(suffix: str) -> tuple[Any, Any]:
    made = model()
    names = [n for n, _ in made.named_parameters()]
    name = next((n for n in names if n == suffix), names[len(names) // 2])
    parameters = dict(made.named_parameters())
    ids, targets = batch()

    def loss(value: Any) -> Any:
        held = {n: p.detach() for n, p in parameters.items()}
        logits = functional_call(made, {**held, name: value}, (ids,))
        return F.cross_entropy(logits.reshape(-1, 16), targets.reshape(-1))

    return loss, parameters[name].detach()


def speed(job: str) -> dict[str, Any]:
    loss, leaves = whole()
    seconds, passed = seconds_of(lambda: not complains(loss, leaves), 5 if FAST else 1)
    return {"seconds": seconds, "passed": passed, "parameters": sum(p.numel() for p in leaves)}
