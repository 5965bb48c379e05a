"""Faults that hide from differences and from a falling loss: parts without effect, factors on the
gradient, positions and samples that do not count."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np

import tinytorch
from tinytorch import Tensor
from tinytorch.nn import functional as F

from . import loops
from .habits import between
from .planting import Fault, in_function, planted, replaced, spoilt
from .subjects import Attention, Normalised, Recurrent, Residual
from .training import DIGITS, NORMALISED, TEXT

REGRESSION = """
model: fault_one_number
data: {name: fault_digits, batch: 8}
loss: fault_squares
optimizer: {name: adam, lr: 0.01}
step: fault_step
"""
UNSHUFFLED = DIGITS.replace("batch: 8}", "batch: 8, shuffle: false}")


# --- a table by dtype ---------------------------------------------------------------------------


def halved_in_float32(part: Any, g: Any, y: Any) -> Any:
    return part * np.float32(0.5) if y.dtype == np.float32 else part


def last_row_in_float32(part: Any, g: Any, y: Any) -> Any:
    if y.dtype != np.float32 or part.ndim < 2:
        return part
    part = part.copy()
    part[-1] *= np.float32(1.5)
    return part


# --- what reaches the optimizer -----------------------------------------------------------------


def hundredth(model: Any) -> None:
    for p in model.parameters():
        p.grad = p.grad * np.asarray(0.01, p.dtype)


def unscaled_twice(model: Any) -> None:
    for p in model.parameters():
        p.grad = p.grad / np.asarray(1024, p.dtype)


def in_parts(sizes: tuple[int, ...], *, step_inside: bool = False) -> Any:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        optimizer.zero_grad()
        total, start = 0.0, 0
        for size in sizes:
            part = tuple(b[start : start + size] for b in batch)
            start += size
            value = loops.step(model, part, loss) / float(len(sizes))
            value.backward()
            total += float(value)
            if step_inside:
                optimizer.step()
        if not step_inside:
            optimizer.step()
        return Tensor(np.array(total))

    return train


# --- parts without effect -----------------------------------------------------------------------


def half_of_the_image(self: Any, x: Tensor) -> Tensor:
    kept = np.concatenate([np.ones(32), np.zeros(32)]).astype(x.dtype)
    h = self.first(x.reshape(len(x), 64) * Tensor(kept))
    h = h + self.transformed(self.norm(h))
    return self.head(h)


def two_features_read_twice(self: Any, x: Tensor) -> Tensor:
    x = tinytorch.cat([x[:, :2], x[:, :2]], 1)
    return self.head(self.norm(self.first(x)).tanh())


def inputs_of_the_first_step(self: Any, ids: Tensor) -> Tensor:
    x = self.embedding(ids)
    h = Tensor(np.zeros((ids.shape[0], self.width), x.dtype))
    states = []
    for _ in range(ids.shape[1]):
        h = (self.outer(x[:, 0]) + self.inner(h)).tanh()
        states.append(h)
    return self.head(tinytorch.stack(states, dim=1))


def same_mask(self: Any, h: Tensor) -> Tensor:
    y = self.branch(h).relu()
    mask = np.random.default_rng(0).random(y.shape) > 0.5
    return y * Tensor(2 * mask.astype(y.dtype)) if self.training else y


def saturated(self: Any, x: Tensor) -> Tensor:
    return self.head((100.0 * self.norm(self.first(x))).tanh())


def relu_at_the_end(self: Any, x: Tensor) -> Tensor:
    h = self.first(x.reshape(len(x), 64))
    h = h + self.transformed(self.norm(h))
    return self.head(h).relu()


# --- positions and samples that do not count ----------------------------------------------------


def first_position_only(model: Any, batch: Any, loss: Any) -> Tensor:
    return loss(model(batch[0])[:, :1], batch[1][:, :1])


def last_position_left_out(output: Tensor, target: Tensor, ignore_index: int = -100) -> Tensor:
    classes = output.shape[-1]
    return F.cross_entropy(output[:, :-1].reshape(-1, classes), target[:, :-1].reshape(-1))


def sorted_by_class(self: Any, seed: int, epoch: int, shuffle: bool) -> Any:
    return np.argsort(self.targets, kind="stable")


def one_column(self: Any, index: int) -> Any:
    x = np.full_like(self.inputs[index], 0.5)
    x.reshape(-1)[3] = self.inputs[index].reshape(-1)[27]
    return x, self.targets[index]


def never_divided(self: Any, index: int) -> Any:
    return (self.inputs[index] * 65535).astype(np.float32), self.targets[index]


def faults() -> list[Fault]:
    def train(name: str, value: Any, check: str, finding: str, **expect: str) -> Fault:
        return Fault(name, replaced(loops, "train", value), DIGITS, check, finding, expect)

    sums_out = ("y = weights @ v", "y = weights.sum(-1, keepdim=True) * v")
    attention = in_function(Attention, "attended", sums_out)

    def single(name: str, spoil: Any, case: str) -> Fault:
        message = {"message": "in float32", "op": name}
        return Fault(
            f"{name}_wrong_in_float32",
            spoilt(name, spoil),
            case,
            "gradient",
            "wrong_gradient",
            message,
        )

    return [
        single("exp", halved_in_float32, "op: exp\ninputs: {x: [3, 4]}"),
        single("layer_norm", last_row_in_float32, "op: layer_norm\ninputs: {x: [6, 8], weight: [8], bias: [8]}"),
        train("gradient_times_a_hundredth", between(hundredth), "updates", "gradient_scaled",
              message="0.01 times"),
        train("gradient_unscaled_twice", between(unscaled_twice), "updates", "gradient_scaled"),
        train("unequal_parts_weighted_alike", in_parts((3, 3, 2)), "accumulation", "unequal_parts",
              message="3, 3, 2 samples"),
        train("step_inside_the_loop", in_parts((4, 4), step_inside=True), "accumulation",
              "steps_inside"),
        Fault("outputs_stretched", replaced(loops, "squares", lambda o, y: ((o - y.float()) ** 2).mean()),
              REGRESSION, "graph", "stretched_loss", {"message": "(4, 1) against (4,)", "line": "return loss(model"}),
        Fault("outputs_stretched_in_parts", replaced(loops, "squares", lambda o, y: ((o - y.float()) ** 2).mean()),
              REGRESSION, "accumulation", "stretched_loss"),
        Fault("attention_sums_out", attention, TEXT, "graph", "no_effect", {"parameter": "query.weight"}),
        Fault("attention_sums_out_in_time", attention, TEXT, "causality", "sees_no_past"),
        planted("half_of_the_image_ignored", Residual, "forward", half_of_the_image, DIGITS, "graph", "idle_input",
              message="of input 0"),
        planted("features_read_twice", Normalised, "forward", two_features_read_twice, NORMALISED, "graph",
              "idle_input", message="2 entries of 4 along axis 1 (2, 3)"),
        planted("first_step_read_again", Recurrent, "forward", inputs_of_the_first_step,
              TEXT.replace("fault_attention", "fault_recurrent"), "graph", "idle_input"),
        planted("same_mask_in_training", Residual, "transformed", same_mask, DIGITS, "accumulation",
              "mask_repeats", line="return y * Tensor(2 * mask"),
        planted("same_mask_whatever_the_seed", Residual, "transformed", same_mask, DIGITS, "determinism",
              "mask_repeats"),
        planted("tanh_saturated", Normalised, "forward", saturated, NORMALISED, "graph", "saturated_units",
              op="tanh", line=".tanh()"),
        planted("relu_on_the_logits", Residual, "forward", relu_at_the_end, DIGITS, "init", "clipped_logits"),
        Fault("first_position_only", replaced(loops, "step", first_position_only), TEXT, "alignment",
              "positions_left_out", {"message": "7 of 8 positions", "line": "[:, :1]"}),
        Fault("last_position_left_out", replaced(loops, "sequence_loss", last_position_left_out), TEXT,
              "alignment", "positions_left_out", {"message": "1 of 8 positions"}),
        Fault("sorted_by_class", replaced(loops.Digits, "order", sorted_by_class), UNSHUFFLED, "loader",
              "sorted_classes"),
        Fault("one_column_read", replaced(loops.Digits, "__getitem__", one_column), DIGITS, "loader",
              "constant_features"),
        Fault("pixels_never_divided", replaced(loops.Digits, "__getitem__", never_divided), DIGITS, "loader",
              "unnormalised"),
    ]  # fmt: skip
