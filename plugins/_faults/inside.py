"""A wrong pullback inside a model: the op must be named, and the line that called it."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np

from tinytorch import Tensor
from tinytorch.nn import functional as F

from .formulas import FORMULAS
from .formulas_arrays import FORMULAS as OF_ARRAYS
from .loops import Digits
from .planting import Array, Fault, fed, in_op, replaced, spoilt
from .pullbacks import one_entry, scaled
from .subjects import Attention

TEXT = """
data: {name: char_sequences, batch: 2, length: 5, samples: 16}
loss: sequence_cross_entropy
optimizer: {name: adam, lr: 0.01}
"""
ATTENTION = "model: fault_attention\nargs: {width: 8, heads: 2, context: 8}" + TEXT
RECURRENT = "model: fault_recurrent\nargs: {width: 4}" + TEXT
RESIDUAL = """
model: fault_residual
args: {dropout: 0.3}
data: {name: digits, batch: 4}
loss: cross_entropy
optimizer: {name: adam, lr: 0.01}
"""
LSTM = "model: char_lstm\nargs: {hidden: 4, embed: 3}" + TEXT
CNN = """
model: cnn
args: {channels: 2, norm: true}
data: {name: digits, batch: 4}
loss: cross_entropy
optimizer: {name: adam, lr: 0.01}
"""
REFERENCE = ATTENTION + "checks: {reference: {model: fault_attention_twin}}"
SEVERAL = """
model: fault_residual
data: {name: fault_digits, batch: 16}
loss: cross_entropy
optimizer: {name: adam, lr: 0.01}
step: fault_step
checks: {multibatch: {steps: 60}}
"""


def last_time_only(part: Array, g: Array, y: Array) -> Array:
    """Of a bias: what came last counts alone."""
    return g.reshape(-1, g.shape[-1])[-1] if part.ndim == 1 else part


def mean_over_rows(part: Array, g: Array, y: Array) -> Array:
    return part / (g.size // g.shape[-1]) if part.ndim == 1 else part


def wrong_where_negative(part: Array, g: Array, y: Array) -> Array:
    return np.where(part < 0, part * 1.01, part)


def to_padding(part: Array, g: Array, y: Array) -> Array:
    part = part.copy()
    part[0] = 0
    return part


def labels_at_random(self: Any, order: Any) -> Any:
    inputs = np.stack([self[int(i)][0] for i in order])
    return inputs, np.random.default_rng(int(order[0])).integers(0, 10, len(order))


def residual_twice(self: Any, ids: Tensor) -> Tensor:
    x = self.located(self.embedding(ids))
    x = x + x + self.attended(self.norm1(x))
    x = x + self.fed_forward(self.norm2(x))
    return self.head(self.norm(x))


def norm_forgotten(self: Any, ids: Tensor) -> Tensor:
    x = self.located(self.embedding(ids))
    x = x + self.attended(self.norm1(x)) + 0.0 * self.norm2(x)
    x = x + self.fed_forward(self.norm2(x))
    return self.head(x + 0.0 * self.norm(x))


def another_activation(self: Any, x: Tensor) -> Tensor:
    return self.down(F.gelu(self.up(x)))


def positions_one_on(self: Any, x: Tensor) -> Tensor:
    return x + self.positions[1 : x.shape[1] + 1]


def keys_for_values(self: Any, x: Tensor) -> Tensor:
    q, k, v = (self.in_heads(f(x)) for f in (self.query, self.value, self.key))
    scores = q @ k.transpose(-1, -2) / (x.shape[-1] // self.heads) ** 0.5
    later = np.triu(np.ones(scores.shape[-2:], bool), k=1)
    hidden = Tensor(np.where(later, -np.inf, 0.0).astype(x.dtype))
    y = F.softmax(scores + hidden, -1) @ v
    return self.proj(y.transpose(1, 2).reshape(*x.shape))


def inside(name: str, formula: str, case: str, line: str = "") -> Fault:
    """A fault of the table of formulas, inside a model."""
    op, right, wrong, _, _ = {**FORMULAS, **OF_ARRAYS}[formula]
    expect = {"op": op, **({"line": line} if line else {})}
    return Fault(name, in_op(op, (right, wrong)), case, "gradient", "wrong_gradient", expect)


def faults() -> list[Fault]:
    wrong = "wrong_gradient"
    softmax = "F.softmax(scores, dim=-1)"
    return [
        inside("attention_softmax_diagonal", "softmax_diagonal_only", ATTENTION, softmax),
        inside("attention_layer_norm_eps", "layer_norm_eps_outside_the_root", ATTENTION, "self.norm"),
        inside("attention_layer_norm_unbiased", "layer_norm_unbiased_backward", ATTENTION, "self.norm"),
        inside("attention_layer_norm_variance", "layer_norm_variance_constant", ATTENTION, "self.norm"),
        inside("attention_embedding_assigns", "embedding_assigns", ATTENTION, "self.embedding(ids)"),
        inside("attention_relu_passes_all", "relu_passes_all", ATTENTION, "self.up(x).relu()"),
        inside("attention_bias_of_last_row", "linear_bias_last_row_only", ATTENTION),
        inside("attention_bias_averaged", "linear_bias_mean_over_time", ATTENTION),
        inside("attention_cross_entropy_batch", "cross_entropy_not_divided_by_batch", ATTENTION),
        inside("attention_cross_entropy_target", "cross_entropy_target_forgotten", ATTENTION),
        inside("attention_transpose_reshaped", "transpose_reshaped_instead", ATTENTION),
        Fault("attention_where_scaled", spoilt("where", scaled(1.01)), ATTENTION, "gradient", wrong,
              {"op": "where", "line": "tinytorch.where(Tensor(later)"}),
        inside("recurrent_tanh_of_input", "tanh_of_the_input", RECURRENT, ".tanh()"),
        inside("recurrent_stack_swapped", "stack_pieces_swapped", RECURRENT, "tinytorch.stack(states"),
        inside("lstm_sigmoid_half", "sigmoid_half_of_the_product", LSTM),
        inside("residual_dropout_scale", "dropout_scale_missing", RESIDUAL, "self.drop("),
        inside("cnn_batch_norm_constant", "batch_norm_running_stats_backward", CNN, "self.norm(self.conv1(x))"),
        inside("cnn_conv_weight_flipped", "conv_weight_flipped", CNN),
        inside("cnn_max_pool_first", "max_pool_last_of_window", CNN, "self.pool("),
        Fault("attention_matmul_sign", spoilt("matmul", scaled(-1.0)), ATTENTION, "gradient", wrong,
              {"op": "matmul"}),
        Fault("attention_softmax_times_1.0001", spoilt("softmax", scaled(1.0001)), ATTENTION,
              "gradient", wrong, {"op": "softmax", "line": softmax}),
        Fault("attention_softmax_off_by_a_millionth", spoilt("softmax", scaled(1 + 1e-6)),
              ATTENTION, "gradient", wrong, {"op": "softmax", "line": softmax}),
        Fault("residual_entry_off_by_a_percent", spoilt("linear", one_entry(1.01)),
              RESIDUAL.replace("{dropout: 0.3}", "{width: 16}"), "gradient", wrong, {"op": "linear"}),
        Fault("attention_relu_of_cotangent", fed("softmax", lambda g: np.maximum(g, 0)), ATTENTION,
              "gradient", "not_linear", {"op": "softmax"}),
        Fault("attention_clamped_cotangent", fed("layer_norm", lambda g: np.clip(g, -1, 1)),
              ATTENTION, "gradient", "not_linear", {"op": "layer_norm"}),
        Fault("attention_bias_of_last_time", spoilt("linear", last_time_only), ATTENTION, "gradient",
              wrong, {"op": "linear"}),
        Fault("attention_bias_over_rows", spoilt("linear", mean_over_rows), ATTENTION, "gradient",
              wrong, {"op": "linear"}),
        Fault("negative_cotangents_enlarged", spoilt("layer_norm", wrong_where_negative), ATTENTION,
              "gradient", "not_linear", {"op": "layer_norm"}),
        Fault("first_row_taken_for_padding", spoilt("embedding", to_padding),
              "op: embedding\ninputs: {weight: [5, 3], ids: {values: [0, 1, 2, 0], dtype: int}}",
              "gradient", wrong, {"op": "embedding"}),
        # what only a second implementation can tell
        Fault("residual_counted_twice", replaced(Attention, "forward", residual_twice), REFERENCE,
              "reference", "output_differs"),
        Fault("last_norm_forgotten", replaced(Attention, "forward", norm_forgotten), REFERENCE,
              "reference", "output_differs"),
        Fault("another_activation", replaced(Attention, "fed_forward", another_activation),
              REFERENCE, "reference", "output_differs"),
        Fault("positions_one_on", replaced(Attention, "located", positions_one_on), REFERENCE,
              "reference", "output_differs"),
        Fault("keys_taken_for_values", replaced(Attention, "attended", keys_for_values), REFERENCE,
              "reference", "output_differs"),
        # what several batches tell
        Fault("labels_at_random", replaced(Digits, "batch", labels_at_random), SEVERAL, "multibatch",
              "loss_not_falling"),
    ]  # fmt: skip
