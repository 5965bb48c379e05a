"""Faults that mix what must stay apart: times, samples, runs; and values that are not finite."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np

import tinytorch
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

from .layers import ATTENTION, NORMALISED, PAST, RECURRENT, RESIDUAL, TEXT
from .planting import Fault, planted
from .subjects import Attention, Normalised, PastMean, Recurrent, Residual

DROPPING = "model: fault_attention\nargs: {dropout: 0.3}" + TEXT

# --- mixing what must stay apart --------------------------------------------------------------


def averaged_over_all(self: Any, x: Tensor) -> Tensor:
    return x * 0.5 + x.mean(1, keepdim=True)


def averaged_from_the_end(self: Any, x: Tensor) -> Tensor:
    count = np.arange(1, x.shape[1] + 1, dtype=x.dtype)[::-1].copy()[:, None]
    return x.flip([1]).cumsum(1).flip([1]) / Tensor(count)


def averaged_one_ahead(self: Any, x: Tensor) -> Tensor:
    ahead = tinytorch.cat([x[:, 1:], x[:, -1:]], dim=1)
    count = np.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None]
    return ahead.cumsum(1) / Tensor(count)


def normalised_over_time(self: Any, x: Tensor) -> Tensor:
    count = np.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None]
    y = x.cumsum(1) / Tensor(count)
    return (y - y.mean(1, keepdim=True)) / (y.var(1, keepdim=True) + 1e-5).sqrt()


def averaged_over_batch(self: Any, x: Tensor) -> Tensor:
    count = np.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None]
    return x.cumsum(1) / Tensor(count) - x.mean(0, keepdim=True)


def summed_along_batch(self: Any, x: Tensor) -> Tensor:
    return x.cumsum(0)


def batch_and_time_swapped(self: Any, x: Tensor) -> Tensor:
    """(B, T, C) taken for (T, B, C): reshaped instead of transposed."""
    b, t, c = x.shape
    return (x.reshape(t, b, c).cumsum(0) / float(t)).reshape(b, t, c)


def nothing_of_the_past(self: Any, x: Tensor) -> Tensor:
    return x * 1.0


def branch_over_batch(self: Any, h: Tensor) -> Tensor:
    return F.softmax(self.branch(h), dim=0)


def branch_less_batch_mean(self: Any, h: Tensor) -> Tensor:
    y = self.branch(h).relu()
    return y - y.mean(0, keepdim=True)


def batch_moments_in_eval(self: Any, x: Tensor) -> Tensor:
    h = self.first(x)
    h = F.batch_norm(h, None, None, self.norm.weight, self.norm.bias, True)
    return self.head(h.tanh())


# --- randomness -------------------------------------------------------------------------------


def always_dropping(self: Any, input: Tensor) -> Tensor:
    return F.dropout(input, self.p, True)


class OwnGenerator:
    """Draws from one generator that all layers share and no seed reaches."""

    rng = np.random.default_rng(0)


def drops_by_own_generator(self: Any, input: Tensor) -> Tensor:
    if not self.training or not self.p:
        return input
    kept = (OwnGenerator.rng.random(input.shape) >= self.p) / (1 - self.p)
    return input * Tensor(kept.astype(input.dtype))


def initial_values_from_shared_generator(self: Any) -> None:
    bound = 1 / np.sqrt(self.in_features)
    self.weight._data[...] = OwnGenerator.rng.uniform(-bound, bound, self.weight.shape)


def noise_in_forward(self: Any, x: Tensor) -> Tensor:
    return (
        x
        + self.positions[: x.shape[1]]
        + Tensor(0.1 * tinytorch.random.generator().standard_normal(x.shape).astype(x.dtype))
    )


def counts_its_calls(self: Any, h: Tensor) -> Tensor:
    self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
    return self.branch(h).relu() * (1.0 + 0.1 * self.__dict__["calls"])


def state_kept_between_batches(self: Any, h: Tensor) -> Tensor:
    kept = self.__dict__.get("kept")
    self.__dict__["kept"] = h.data.copy()
    return h if kept is None or kept.shape != h.shape else h + Tensor(0.5 * kept)


# --- not finite ------------------------------------------------------------------------------


def norm_of_zero(self: Any, h: Tensor) -> Tensor:
    """where() around a root at 0: the value is finite, the gradient is not."""
    y = self.branch(h).relu()
    length = (y * 0.0 * y).sqrt()
    return tinytorch.where(Tensor(np.ones(y.shape, bool)), y, length)


def log_of_zero(self: Any, h: Tensor) -> Tensor:
    y = self.branch(h).relu()
    positive = Tensor(y.data > 0)
    return tinytorch.where(positive, (y + 1.0).log() + 0.0 * y.log(), Tensor(np.zeros((), h.dtype)))


def same_mask_every_time(self: Any, input: Tensor) -> Tensor:
    if not self.training or not self.p:
        return input
    kept = np.random.default_rng(0).random(input.shape) >= self.p
    return tinytorch.dropout(input, Tensor(kept), self.p)


def faults() -> list[Fault]:
    return [
        planted("mean_over_all_times", PastMean, "averaged", averaged_over_all, PAST, "causality",
                "sees_future", op="mean"),
        planted("sum_from_the_end", PastMean, "averaged", averaged_from_the_end, PAST, "causality",
                "sees_future"),
        planted("one_ahead", PastMean, "averaged", averaged_one_ahead, PAST, "causality",
                "sees_future"),
        planted("normalised_over_time", PastMean, "averaged", normalised_over_time, PAST,
                "causality", "sees_future"),
        planted("mean_over_batch", PastMean, "averaged", averaged_over_batch, PAST,
                "batch_independence", "depends_on_batch"),
        planted("sum_along_batch", PastMean, "averaged", summed_along_batch, PAST,
                "batch_independence", "depends_on_batch", op="cumsum"),
        planted("batch_and_time_swapped", PastMean, "averaged", batch_and_time_swapped, PAST,
                "batch_independence", "depends_on_batch"),
        planted("past_ignored", PastMean, "averaged", nothing_of_the_past, PAST, "causality",
                "sees_no_past"),
        planted("branch_softmax_over_batch", Residual, "transformed", branch_over_batch, RESIDUAL,
                "batch_independence", "depends_on_batch", op="softmax"),
        planted("branch_less_batch_mean", Residual, "transformed", branch_less_batch_mean, RESIDUAL,
                "batch_independence", "depends_on_batch"),
        planted("batch_moments_in_eval", Normalised, "forward", batch_moments_in_eval, NORMALISED,
                "batch_independence", "depends_on_batch", op="batch_norm"),
        # randomness
        planted("dropout_in_eval", nn.Dropout, "forward", always_dropping, DROPPING, "determinism",
                "random_in_eval", op="dropout"),
        planted("shared_generator_dropout", nn.Dropout, "forward", drops_by_own_generator, DROPPING,
                "determinism", "not_repeatable"),
        planted("same_mask_every_time", nn.Dropout, "forward", same_mask_every_time, DROPPING,
                "determinism", "mask_repeats", op="dropout", line="tinytorch.dropout(input"),
        planted("shared_generator_init", nn.Linear, "reset_parameters",
                initial_values_from_shared_generator, RESIDUAL, "determinism", "depends_on_history"),
        planted("noise_in_eval", Attention, "located", noise_in_forward, ATTENTION, "determinism",
                "random_in_eval", op="add"),
        planted("result_counts_calls", Residual, "transformed", counts_its_calls, RESIDUAL,
                "determinism", "not_repeatable"),
        planted("result_counts_calls_gradient", Residual, "transformed", counts_its_calls, RESIDUAL,
                "gradient", "not_deterministic"),
        planted("state_kept_between_batches", Recurrent, "carried", state_kept_between_batches,
                RECURRENT, "determinism", "not_repeatable"),
        # not finite
        planted("root_of_zero_behind_where", Residual, "transformed", norm_of_zero, RESIDUAL,
                "gradient", "not_finite", op="sqrt"),
        planted("root_of_zero_in_training", Residual, "transformed", norm_of_zero, RESIDUAL,
                "overfit", "gradient_not_finite"),
        planted("log_of_zero_behind_where", Residual, "transformed", log_of_zero, RESIDUAL,
                "gradient", "not_finite", op="log"),
    ]  # fmt: skip
