"""Faults of losses, training steps, optimizers and data: the model itself is right."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np

from tinytorch import Tensor
from tinytorch.nn import functional as F

from . import loops
from .planting import Fault, replaced

DIGITS = """
model: fault_residual
data: {name: fault_digits, batch: 8}
loss: fault_loss
optimizer: {name: adam, lr: 0.01}
step: fault_step
"""
TEXT = """
model: fault_attention
data: {name: fault_text, batch: 4}
loss: fault_sequence_loss
optimizer: {name: adam, lr: 0.01}
step: fault_step
"""
PADDED = """
model: fault_past_mean
data: {name: fault_text, batch: 4, padded: true}
loss: {name: fault_sequence_loss, ignore_index: 0}
optimizer: {name: adam, lr: 0.01}
step: fault_step
"""
LEARNS = DIGITS + "checks: {overfit: {steps: 60, below: 0.5}}"
DECAYING = DIGITS.replace("{name: adam, lr: 0.01}", "{name: adamw, lr: 0.01, weight_decay: 0.1}")
FROZEN = DECAYING + "args: {frozen: true}"
NORMALISED = """
model: fault_normalised
data: {name: iris, batch: 16}
loss: cross_entropy
optimizer: {name: adam, lr: 0.01}
step: fault_step
"""


# --- losses -----------------------------------------------------------------------------------


def negated(output: Tensor, target: Tensor) -> Tensor:
    return -F.cross_entropy(output, target)


def of_softmax(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(F.softmax(output, -1), target)


def of_log_probabilities_of_nothing(output: Tensor, target: Tensor) -> Tensor:
    """nll_loss is given logits, no log probabilities."""
    return F.nll_loss(output, target)


def of_probabilities(output: Tensor, target: Tensor) -> Tensor:
    return F.nll_loss(F.softmax(output, -1), target)


def summed(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target, reduction="sum")


def not_reduced(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target, reduction="none")


def of_detached_logits(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.detach(), target)


def of_rebuilt_logits(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(
        Tensor(output.data.reshape(-1, output.shape[-1]), requires_grad=True), target
    )


def of_predictions(output: Tensor, target: Tensor) -> Tensor:
    """The error rate: it does not move with small changes."""
    best = np.argmax(output.data, -1)
    return Tensor(np.mean(best != target.data, dtype=output.dtype), requires_grad=True)


def of_first_sample(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output[:1], target[:1])


def not_a_number(output: Tensor, target: Tensor) -> Tensor:
    return -(F.softmax(output * 1000.0, -1).log()).mean()


def padding_counted(output: Tensor, target: Tensor, ignore_index: int = -100) -> Tensor:
    classes = output.shape[-1]
    return F.cross_entropy(output.reshape(-1, classes), target.reshape(-1))


def padding_in_the_mean(output: Tensor, target: Tensor, ignore_index: int = -100) -> Tensor:
    """Padding is not left out, but weighted a tenth."""
    classes = output.shape[-1]
    each = F.cross_entropy(output.reshape(-1, classes), target.reshape(-1), reduction="none")
    kept = np.where(target.data.reshape(-1) == ignore_index, 0.1, 1.0).astype(output.dtype)
    return (each * Tensor(kept)).mean()


def targets_are_the_inputs(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    return loss(model(batch[0]), batch[0])


def targets_shifted_in_the_step(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    ids, targets = batch
    return loss(model(ids)[:, :-1], targets[:, 1:])


def shifted_backwards(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    """Output t is compared with input t - 1."""
    ids, _ = batch
    return loss(model(ids)[:, 1:], ids[:, :-1])


_train = loops.train

# --- the update -------------------------------------------------------------------------------


def without_zero_grad(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    value = loops.step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value


def zero_grad_too_late(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    """Between backward and step: nothing is left to step along."""
    value = loops.step(model, batch, loss)
    value.backward()
    optimizer.zero_grad()
    optimizer.step()
    return value


def without_step(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    value.backward()
    return value


def without_backward(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    optimizer.step()
    return value


def step_before_backward(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    optimizer.step()
    value.backward()
    return value


def micro_batches_summed(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    total = None
    half = len(batch[0]) // 2
    for part in (slice(0, half), slice(half, None)):
        value = loops.step(model, tuple(b[part] for b in batch), loss)
        value.backward()
        total = value.detach() if total is None else total + value.detach()
    optimizer.step()
    assert total is not None
    return total * 0.5


def clipped_to_nothing(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    value.backward()
    for p in model.parameters():
        if p.grad is not None:
            p.grad *= 0.0
    optimizer.step()
    return value


def clipped_one_by_one(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    """Half of the parameters have their gradient removed by a slip of the clipping."""
    optimizer.zero_grad()
    value = loops.step(model, batch, loss)
    value.backward()
    for p in list(model.parameters())[:2]:
        p.grad = None
    optimizer.step()
    return value


def buffers_decayed(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    value = _train(model, batch, loss, optimizer)
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer._data *= 0.99
    return value


def in_eval_mode(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    model.eval()
    return _train(model, batch, loss, optimizer)


def frozen_stepped(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    value = _train(model, batch, loss, optimizer)
    for p in model.branch.parameters():
        p._data *= 0.999
    return value


def faults() -> list[Fault]:
    def planted(
        name: str, where: str, value: Any, case: str, check: str, finding: str, **expect: str
    ) -> Fault:
        return Fault(name, replaced(loops, where, value), case, check, finding, expect)

    return [
        # the loss
        planted("loss_negated_at_first", "loss", negated, DIGITS, "init", "negative_loss"),
        planted("loss_negated", "loss", negated, DIGITS, "overfit", "negative_loss"),
        planted("softmax_twice_at_first", "loss", of_softmax, DIGITS, "init", "softmax_twice"),
        planted("softmax_twice", "loss", of_softmax, LEARNS, "overfit", "no_rate_helps"),
        planted("nll_of_logits", "loss", of_log_probabilities_of_nothing, DIGITS, "init", "first_loss_low"),
        planted("nll_of_probabilities", "loss", of_probabilities, DIGITS, "init", "negative_loss"),
        planted("loss_summed", "loss", summed, DIGITS, "accumulation", "accumulation_differs"),
        planted("loss_summed_at_first", "loss", summed, DIGITS, "init", "first_loss_high"),
        planted("loss_of_first_sample", "loss", of_first_sample, DIGITS, "accumulation",
                "accumulation_differs"),
        planted("loss_not_reduced", "loss", not_reduced, DIGITS, "gradient", "not_scalar"),
        planted("loss_of_detached_logits", "loss", of_detached_logits, DIGITS, "graph", "cut",
                line="output.detach()"),
        planted("loss_of_rebuilt_logits", "loss", of_rebuilt_logits, DIGITS, "graph", "cut",
                line="Tensor(output.data.reshape"),
        planted("loss_of_predictions", "loss", of_predictions, DIGITS, "graph", "cut",
                line="Tensor(np.mean(best != target.data"),
        planted("loss_not_a_number", "loss", not_a_number, DIGITS, "overfit", "loss_not_finite"),
        planted("loss_not_finite_at_first", "loss", not_a_number, DIGITS, "init", "loss_not_finite"),
        planted("padding_counted", "sequence_loss", padding_counted, PADDED, "alignment",
                "padding_counts"),
        planted("padding_weighted", "sequence_loss", padding_in_the_mean, PADDED, "alignment",
                "padding_counts"),
        # targets
        planted("targets_are_the_inputs", "step", targets_are_the_inputs, TEXT, "alignment", "misaligned"),
        planted("targets_shifted_in_the_step_too", "step", targets_shifted_in_the_step, TEXT,
                "alignment", "misaligned"),
        planted("targets_shifted_backwards", "step", shifted_backwards, TEXT, "alignment",
                "misaligned"),
        # the update
        planted("zero_grad_missing", "train", without_zero_grad, DIGITS, "updates",
                "gradient_accumulates"),
        planted("zero_grad_too_late", "train", zero_grad_too_late, DIGITS, "updates", "not_moved"),
        planted("step_missing", "train", without_step, DIGITS, "updates", "no_step"),
        planted("backward_missing", "train", without_backward, DIGITS, "updates", "not_moved"),
        planted("step_before_backward", "train", step_before_backward, DIGITS, "updates",
                "not_moved"),
        planted("micro_batches_summed", "train", micro_batches_summed, DIGITS, "accumulation",
                "not_normalised"),
        planted("clipped_to_nothing", "train", clipped_to_nothing, DIGITS, "updates", "not_moved"),
        planted("two_gradients_lost", "train", clipped_one_by_one, DIGITS, "updates", "not_moved",
                parameter="first.weight"),
        planted("buffers_decayed", "train", buffers_decayed, NORMALISED, "updates", "buffer_moved"),
        planted("frozen_layer_decays", "train", frozen_stepped, FROZEN, "updates", "frozen_moved"),
        planted("trained_in_eval_mode", "train", in_eval_mode, NORMALISED, "updates", "eval_mode"),
    ]  # fmt: skip
