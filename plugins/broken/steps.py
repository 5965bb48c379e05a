"""Training steps and losses with a fault that lets the loop run on."""

from __future__ import annotations

from typing import Any

from tinytorch import Tensor
from tinytorch.nn import functional as F


def rebuilds_logits(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    """Reshapes the logits (B, T, V) through `.data`: every parameter loses its gradient."""
    ids, targets = batch
    logits = model(ids)
    vocab = logits.shape[-1]
    logits_2d = Tensor(logits.data.reshape(-1, vocab), requires_grad=True)
    return F.cross_entropy(logits_2d, targets.reshape(-1))


def step(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    """What the default step does."""
    return loss(model(*batch[:-1]), batch[-1])


def forgets_zero_grad(model: Any, batch: tuple[Tensor, ...], loss: Any, optimizer: Any) -> Tensor:
    """An update without zero_grad: gradients of all earlier steps pile up."""
    value = step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value


def negated_cross_entropy(logits: Tensor, ids: Tensor) -> Tensor:
    """The sign is flipped: training makes the right class less likely."""
    return -F.cross_entropy(logits, ids)


def cross_entropy_of_softmax(logits: Tensor, ids: Tensor) -> Tensor:
    """Softmax twice: cross_entropy takes logits and applies it itself."""
    return F.cross_entropy(F.softmax(logits, dim=-1), ids)
