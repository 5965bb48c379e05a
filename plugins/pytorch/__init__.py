"""PyTorch as a framework of cases: `framework: pytorch`.

torch is imported when the first case needs it, not when this plugin is loaded. Losses and
optimizers have the names that those of tinytorch have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcheck import Register, hookimpl, own_loss

gradcheck_api = 1

LOSSES = {
    "cross_entropy": "cross_entropy",
    "nll": "nll_loss",
    "mse": "mse_loss",
    "l1": "l1_loss",
    "huber": "huber_loss",
    "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}


@hookimpl
def gradcheck_register(register: Register) -> None:
    register.framework("pytorch", make_adapter, module="torch")
    for name, function in LOSSES.items():
        register.loss(name, loss(function), framework="pytorch")
    register.loss("sequence_cross_entropy", sequence_cross_entropy, framework="pytorch")
    register.step("own_loss", own_loss, framework="pytorch")
    for name, cls in OPTIMIZERS.items():
        register.optimizer(name, optimizer(cls), framework="pytorch")


def make_adapter() -> Any:
    from .adapter import PyTorch

    return PyTorch()


def loss(function: str) -> Callable[..., Any]:
    """torch.nn.functional's `function`, looked up when it is called."""

    def call(output: Any, target: Any, **args: Any) -> Any:
        import torch

        return getattr(torch.nn.functional, function)(output, target, **args)

    call.__name__ = function
    return call


def sequence_cross_entropy(logits: Any, ids: Any, **args: Any) -> Any:
    """Cross-entropy of logits (batch, time, classes) with ids (batch, time), classes last."""
    import torch

    flat = logits.reshape(-1, logits.shape[-1])
    return torch.nn.functional.cross_entropy(flat, ids.reshape(-1), **args)


def optimizer(cls: str) -> Callable[..., Any]:
    """A factory for torch.optim's `cls`."""

    def make(parameters: Any, **args: Any) -> Any:
        import torch

        return getattr(torch.optim, cls)(parameters, **args)

    make.__name__ = cls
    return make
