"""Faults of training programs that a falling loss hides: what happens around backward and step."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinytorch import Tensor, nn
from tinytorch.nn.utils import clip_grad_norm_

from . import loops
from .planting import Fault, replaced
from .subjects import Normalised, Residual
from .training import DIGITS, LEARNS, NORMALISED

_train = loops.train
ADAGRAD = DIGITS.replace("{name: adam, lr: 0.01}", "{name: fault_adagrad, lr: 0.1}")


def between(change: Callable[[Any], None]) -> Callable[..., Tensor]:
    """The healthy update with something done between backward and step."""

    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        optimizer.zero_grad()
        value = loops.step(model, batch, loss)
        value.backward()
        change(model)
        optimizer.step()
        return value

    return train


def one_layer_slowed(model: Any) -> None:
    model.first.weight.grad *= 0.1


def noisy(model: Any) -> None:
    for p in model.parameters():
        p.grad *= 1 + 0.5 * np.random.standard_normal(p.shape).astype(p.dtype)


def clipped_too_late(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    value.backward()
    optimizer.step()
    clip_grad_norm_(model.parameters(), 0.01)
    return value


def noise_after_the_step(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    value = _train(model, batch, loss, optimizer)
    for p in model.parameters():
        p._data = p._data + 0.1 * np.random.standard_normal(p.shape).astype(p.dtype)
    return value


def uphill(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    (-value).backward()
    optimizer.step()
    return value


def on_shuffled_labels(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, (batch[0], Tensor(np.roll(batch[1].data, 1))), loss)
    value.backward()
    optimizer.step()
    return value


def broken_after_a_while(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    """A counter that divides by zero in the end."""
    left = model.__dict__["left"] = model.__dict__.get("left", 75) - 1
    optimizer.zero_grad()
    value = loops.step(model, batch, loss) * Tensor(np.float32(np.float32(left) / max(left, 0)))
    value.backward()
    optimizer.step()
    return value


def biases_reset(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    value = _train(model, batch, loss, optimizer)
    model.first.bias._data = np.zeros(model.first.bias.shape, model.first.bias.dtype)
    return value


def two_steps(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    value.backward()
    optimizer.step()
    optimizer.step()
    return value


def divided_once_more(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss) / float(len(batch[0]))
    value.backward()
    optimizer.step()
    return value


def always_the_first(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    batch = model.__dict__.setdefault("kept", batch)
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value


def all_equal(self: Any, width: int = 12, dropout: float = 0.0, frozen: bool = False) -> None:
    _residual(self, width, dropout, frozen)
    for p in self.parameters():
        p._data = np.full(p.shape, 0.1, p.dtype)


def all_zero(self: Any, width: int = 8) -> None:
    _normalised(self, width)
    for p in (self.first.weight, self.head.weight, self.norm.bias):
        p._data = np.zeros(p.shape, p.dtype)
    self.norm.weight._data = np.zeros(self.norm.weight.shape, p.dtype)


_residual, _normalised = Residual.__init__, Normalised.__init__


def made_again(self: Any, h: Tensor) -> Tensor:
    if not hasattr(self, "late"):
        self.late = nn.Linear(h.shape[-1], h.shape[-1])
    return self.drop(self.late(self.branch(h)).relu())


def of_exponentials(output: Tensor, target: Tensor) -> Tensor:
    e = output.exp()
    p = e / e.sum(-1, keepdim=True)
    return -(p[np.arange(len(target.data)), target.data].log()).mean()


def never_updated(self: Any, width: int = 8) -> None:
    _normalised(self, width)
    self.norm.momentum = 0.0


def same_sample(self: Any, index: int) -> Any:
    return self.inputs[0], self.targets[0]


def same_label(self: Any, index: int) -> Any:
    return self.inputs[index], self.targets[0]


def one_missing(self: Any, index: int) -> Any:
    x = self.inputs[index]
    return np.where(
        np.arange(x.size).reshape(x.shape) == 3, np.nan, x
    ) if index == 7 else x, self.targets[index]


def faults() -> list[Fault]:
    def train(name: str, value: Any, check: str, finding: str, **expect: str) -> Fault:
        return Fault(name, replaced(loops, "train", value), DIGITS, check, finding, expect)

    def learns(name: str, value: Any, finding: str, message: str) -> Fault:
        plant = replaced(loops, "train", value)
        return Fault(name, plant, LEARNS, "overfit", finding, {"message": message})

    return [
        learns("trained_uphill", uphill, "climbs", "given the negative of the gradient"),
        learns("labels_shuffled_in_the_step", on_shuffled_labels, "not_overfit", "other labels"),
        learns("not_a_number_after_a_while", broken_after_a_while, "loss_not_finite", "at step 7"),
        train("one_gradient_scaled", between(one_layer_slowed), "updates", "gradient_differs",
              parameter="first.weight"),
        train("noise_on_the_gradients", between(noisy), "updates", "gradient_differs"),
        train("clipped_after_the_step", clipped_too_late, "updates", "changed_after_step"),
        train("noise_after_the_step", noise_after_the_step, "updates", "changed_outside_step"),
        train("bias_reset_after_the_step", biases_reset, "updates", "changed_outside_step",
              parameter="first.bias"),
        train("stepped_twice", two_steps, "updates", "stepped_twice"),
        train("mean_divided_once_more", divided_once_more, "accumulation", "not_normalised",
              message="0.125 times"),
        train("always_the_first_batch", always_the_first, "multibatch", "same_batch"),
        Fault("weights_all_equal", replaced(Residual, "__init__", all_equal), DIGITS, "init",
              "symmetric"),
        Fault("weights_all_zero", replaced(Normalised, "__init__", all_zero), NORMALISED, "updates",
              "stuck", {"parameter": "first.weight"}),
        Fault("layer_made_in_the_forward", replaced(Residual, "transformed", made_again), DIGITS,
              "graph", "made_in_forward",
              {"parameter": "late.weight", "line": "self.late = nn.Linear"}),
        Fault("loss_without_shift", replaced(loops, "loss", of_exponentials), DIGITS, "init",
              "loss_overflows"),
        Fault("statistics_never_updated", replaced(Normalised, "__init__", never_updated),
              NORMALISED, "updates", "buffer_never_updated", {"parameter": "norm.running_mean"}),
        Fault("adagrad_without_root", replaced(loops.Adagrad, "root", lambda self, total: total + 1e-10),
              ADAGRAD, "updates", "optimizer_formula", {"message": "formula of adagrad"}),
        Fault("every_sample_the_first", replaced(loops.Digits, "__getitem__", same_sample), DIGITS,
              "loader", "one_sample"),
        Fault("missing_value", replaced(loops.Digits, "__getitem__", one_missing), DIGITS, "loader",
              "not_finite"),
        Fault("every_label_the_first", replaced(loops.Digits, "__getitem__", same_label), DIGITS,
              "loader", "one_label"),
    ]  # fmt: skip
