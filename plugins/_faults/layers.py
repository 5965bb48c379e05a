"""Faults of layers and models: what they compute is differentiated rightly, but is not what it
should be, or a part of the graph is lost."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np

import tinytorch
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

from .planting import Fault, in_function, planted
from .subjects import Attention, Recurrent, Residual, Tied

TEXT = """
data: {name: char_sequences, batch: 4, length: 8, samples: 64}
loss: sequence_cross_entropy
optimizer: {name: adam, lr: 0.01}
"""
DIGITS = """
data: {name: digits, batch: 8}
loss: cross_entropy
optimizer: {name: adam, lr: 0.01}
"""
ATTENTION = "model: fault_attention" + TEXT
RECURRENT = "model: fault_recurrent" + TEXT
PAST = "model: fault_past_mean" + TEXT
TIED = "model: fault_tied" + TEXT
RESIDUAL = "model: fault_residual" + DIGITS
NORMALISED = """
model: fault_normalised
data: {name: iris, batch: 16}
loss: cross_entropy
optimizer: {name: adam, lr: 0.01}
"""


# --- the graph is cut -----------------------------------------------------------------------


def branch_detached(self: Any, h: Tensor) -> Tensor:
    return self.branch(h).relu().detach()


def branch_through_numpy(self: Any, h: Tensor) -> Tensor:
    return self.branch(Tensor(np.maximum(h.data, 0)))


def branch_rebuilt(self: Any, h: Tensor) -> Tensor:
    return Tensor(np.array(self.branch(h).relu().data))


def branch_without_grad(self: Any, h: Tensor) -> Tensor:
    with tinytorch.no_grad():
        return self.branch(h).relu()


def branch_through_list(self: Any, h: Tensor) -> Tensor:
    return Tensor(np.array(self.branch(h).relu().tolist(), h.dtype))


def branch_mean_from_float(self: Any, h: Tensor) -> Tensor:
    y = self.branch(h).relu()
    return Tensor(np.full(h.shape, float(y.mean()), h.dtype))


def branch_by_argmax(self: Any, h: Tensor) -> Tensor:
    best = np.argmax(self.branch(h).data, axis=-1)  # (B,)
    return Tensor(np.eye(h.shape[-1], dtype=h.dtype)[best])


def attended_detached(self: Any, x: Tensor) -> Tensor:
    q, k, v = (self.in_heads(f(x)) for f in (self.query, self.key, self.value))
    scores = q @ k.transpose(-1, -2) / (x.shape[-1] // self.heads) ** 0.5
    later = np.triu(np.ones(scores.shape[-2:], bool), k=1)
    weights = F.softmax(
        tinytorch.where(Tensor(later), Tensor(np.array(-np.inf, x.dtype)), scores), -1
    )
    y = Tensor((weights @ v).data)
    return self.proj(y.transpose(1, 2).reshape(*x.shape))


def scores_through_numpy(self: Any, x: Tensor) -> Tensor:
    """q and k are read as arrays: only they lose their gradient, v keeps it."""
    q, k, v = (self.in_heads(f(x)) for f in (self.query, self.key, self.value))
    s = q.data @ np.swapaxes(k.data, -1, -2) / (x.shape[-1] // self.heads) ** 0.5
    s = np.where(np.triu(np.ones(s.shape[-2:], bool), k=1), -np.inf, s)
    e = np.exp(s - s.max(-1, keepdims=True))
    y = Tensor(e / e.sum(-1, keepdims=True)) @ v
    return self.proj(y.transpose(1, 2).reshape(*x.shape))


def heads_through_numpy(self: Any, x: Tensor) -> Tensor:
    b, t, c = x.shape
    return Tensor(np.transpose(x.data.reshape(b, t, self.heads, c // self.heads), (0, 2, 1, 3)))


def ff_without_grad(self: Any, x: Tensor) -> Tensor:
    with tinytorch.no_grad():
        h = self.up(x).relu()
    return self.down(h)


def positions_sliced_through_data(self: Any, x: Tensor) -> Tensor:
    return x + Tensor(self.positions.data[: x.shape[1]])


def positions_times_zero(self: Any, x: Tensor) -> Tensor:
    return x + 0.0 * self.positions[: x.shape[1]]


def positions_left_out(self: Any, x: Tensor) -> Tensor:
    return x


def state_detached(self: Any, h: Tensor) -> Tensor:
    return h.detach()


def state_rebuilt(self: Any, h: Tensor) -> Tensor:
    return Tensor(h.data)


def state_forgotten(self: Any, h: Tensor) -> Tensor:
    return Tensor(np.zeros(h.shape, h.dtype))


def tied_weight_copied(self: Any) -> Tensor:
    return Tensor(self.embedding.weight.data)


def tied_weight_detached(self: Any) -> Tensor:
    return self.embedding.weight.detach()


# --- registration ---------------------------------------------------------------------------

_residual, _attention = Residual.__init__, Attention.__init__


def norm_not_trainable(self: Any, width: int = 12, dropout: float = 0.0) -> None:
    _residual(self, width, dropout)
    self.norm.weight = nn.Parameter(np.ones(width, np.float32), requires_grad=False)
    self.norm.bias = nn.Parameter(np.zeros(width, np.float32), requires_grad=False)


def weight_computed(self: Any, width: int = 12, dropout: float = 0.0) -> None:
    """The registered weight is the result of an op: no leaf, nothing trains it."""
    _residual(self, width, dropout)
    made = self.branch.weight * 0.5
    del self.branch.weight
    self.branch.__dict__["weight"] = made


def branch_in_dict(self: Any, width: int = 12, dropout: float = 0.0) -> None:
    _residual(self, width, dropout)
    kept = self.branch
    del self.branch
    self.extra = {"branch": kept}
    self.__dict__["branch"] = lambda h: self.extra["branch"](h)


def head_twenty_times(self: Any, *args: Any, **options: Any) -> None:
    _attention(self, *args, **options)
    self.head.weight._data *= 20


def head_twenty_times_digits(self: Any, *args: Any, **options: Any) -> None:
    _residual(self, *args, **options)
    self.head.weight._data *= 20


def relu_dead(self: Any, *args: Any, **options: Any) -> None:
    _attention(self, *args, **options)
    self.up.bias._data[...] = -50


def relu_partly_dead(self: Any, *args: Any, **options: Any) -> None:
    _attention(self, *args, **options)
    self.up.bias._data[:30] = -50


def faults() -> list[Fault]:
    attended = "attended"

    def attention(
        name: str, right: str, wrong: str, check: str, finding: str, **expect: str
    ) -> Fault:
        return Fault(
            name,
            in_function(Attention, attended, (right, wrong)),
            ATTENTION,
            check,
            finding,
            expect,
        )

    return [
        # attention, of plain operations
        attention("mask_off_by_one", "k=1", "k=2", "causality", "sees_future", op="softmax"),
        attention("mask_absent", "np.triu(np.ones((t, t), bool), k=1)", "np.zeros((t, t), bool)",
                  "causality", "sees_future"),
        attention("mask_turned_round", "np.triu(np.ones((t, t), bool), k=1)",
                  "np.tril(np.ones((t, t), bool), k=-1)", "causality", "sees_future"),
        attention("mask_after_the_softmax",
                  "tinytorch.where(Tensor(later), Tensor(np.array(-np.inf, x.dtype)), scores)\n"
                  "    weights = F.softmax(scores, dim=-1)",
                  "F.softmax(scores, dim=-1)\n"
                  "    weights = tinytorch.where(Tensor(later), Tensor(np.array(0, x.dtype)), scores)",
                  "causality", "sees_future", op="softmax"),
        attention("mask_hides_nearly_all", "k=1", "k=1 - t", "gradient", "not_finite"),
        attention("mask_shows_itself_only", "np.triu(np.ones((t, t), bool), k=1)",
                  "~np.eye(t, dtype=bool)", "causality", "sees_no_past"),
        attention("mask_of_small_minus", "-np.inf", "-1.0", "causality", "sees_future"),
        attention("softmax_over_queries", "dim=-1", "dim=-2", "causality", "sees_future", op="softmax"),
        attention("softmax_over_batch", "dim=-1", "dim=0", "batch_independence", "depends_on_batch",
                  op="softmax"),
        attention("scores_not_scaled", " / (c // self.heads) ** 0.5", "", "init", "scores_too_large",
                  op="softmax"),
        attention("scores_multiplied", "/ (c // self.heads) ** 0.5", "* (c // self.heads) ** 0.5",
                  "init", "scores_too_large", op="softmax"),
        attention("scores_divided_by_the_width", "** 0.5", "", "init", "scores_too_small",
                  op="softmax"),
        attention("heads_merged_without_transpose", "y.transpose(1, 2).reshape(b, t, c)",
                  "y.reshape(b, t, c)", "causality", "sees_future", op="reshape"),
        attention("queries_and_keys_of_the_batch", "k.transpose(-1, -2)",
                  "k.flip([0]).transpose(-1, -2)", "batch_independence", "depends_on_batch"),
        # cuts
        planted("attention_rebuilt", Attention, "attended", attended_detached, ATTENTION, "graph",
                "cut", line="y = Tensor((weights @ v).data)"),
        planted("scores_through_numpy", Attention, "attended", scores_through_numpy, ATTENTION,
                "graph", "cut", line="y = Tensor(e / e.sum(-1, keepdims=True)) @ v"),
        planted("heads_through_numpy", Attention, "in_heads", heads_through_numpy, ATTENTION,
                "graph", "cut", line="return Tensor(np.transpose(x.data.reshape"),
        planted("feed_forward_without_grad", Attention, "fed_forward", ff_without_grad, ATTENTION,
                "graph", "cut", line="no_grad()" ),
        planted("positions_sliced_through_data", Attention, "located", positions_sliced_through_data,
                ATTENTION, "graph", "cut", line="Tensor(self.positions.data[: x.shape[1]])",
                parameter="positions"),
        planted("positions_times_zero", Attention, "located", positions_times_zero, ATTENTION,
                "graph", "no_effect", parameter="positions"),
        planted("positions_left_out", Attention, "located", positions_left_out, ATTENTION,
                "graph", "no_effect", parameter="positions"),
        planted("branch_detached", Residual, "transformed", branch_detached, RESIDUAL, "graph",
                "cut", line="self.branch(h).relu().detach()", parameter="norm.weight"),
        planted("branch_detached_end_to_end", Residual, "transformed", branch_detached, RESIDUAL,
                "gradient", "missing_gradient"),
        planted("branch_through_numpy", Residual, "transformed", branch_through_numpy, RESIDUAL,
                "graph", "cut", line="Tensor(np.maximum(h.data, 0))", parameter="norm.weight"),
        planted("branch_rebuilt", Residual, "transformed", branch_rebuilt, RESIDUAL, "graph", "cut",
                line="Tensor(np.array(self.branch(h).relu().data))"),
        planted("branch_without_grad", Residual, "transformed", branch_without_grad, RESIDUAL,
                "graph", "cut", line="no_grad()"),
        planted("branch_through_list", Residual, "transformed", branch_through_list, RESIDUAL,
                "graph", "cut", line="self.branch(h).relu().tolist()"),
        planted("branch_mean_from_float", Residual, "transformed", branch_mean_from_float, RESIDUAL,
                "graph", "cut", line="float(y.mean())"),
        planted("branch_by_argmax", Residual, "transformed", branch_by_argmax, RESIDUAL, "graph",
                "cut", line="np.eye(h.shape[-1], dtype=h.dtype)[best]"),
        planted("state_detached", Recurrent, "carried", state_detached, RECURRENT, "gradient",
                "wrong_gradient"),
        planted("state_rebuilt", Recurrent, "carried", state_rebuilt, RECURRENT, "graph", "cut",
                line="return Tensor(h.data)"),
        planted("state_forgotten", Recurrent, "carried", state_forgotten, RECURRENT, "causality",
                "sees_no_past"),
        planted("tied_weight_copied", Tied, "output_weight", tied_weight_copied, TIED, "gradient",
                "wrong_gradient", parameter="embedding.weight"),
        planted("tied_weight_copied_line", Tied, "output_weight", tied_weight_copied, TIED, "graph",
                "cut", line="Tensor(self.embedding.weight.data)"),
        planted("tied_weight_detached", Tied, "output_weight", tied_weight_detached, TIED,
                "gradient", "wrong_gradient", parameter="embedding.weight"),
        # registration and initial values
        planted("norm_not_trainable", Residual, "__init__", norm_not_trainable, RESIDUAL, "graph",
                "not_trainable", parameter="norm.weight", line="requires_grad=False"),
        planted("weight_computed", Residual, "__init__", weight_computed, RESIDUAL, "graph",
                "not_a_leaf", parameter="branch.weight", line="self.branch.weight * 0.5"),
        planted("branch_in_dict", Residual, "__init__", branch_in_dict, RESIDUAL, "graph",
                "not_in_parameters", parameter="extra.branch.weight"),
        planted("head_twenty_times", Attention, "__init__", head_twenty_times, ATTENTION, "init",
                "first_loss_high"),
        planted("head_twenty_times_digits", Residual, "__init__", head_twenty_times_digits,
                RESIDUAL, "init", "first_loss_high"),
        planted("relu_dead", Attention, "__init__", relu_dead, ATTENTION, "graph", "dead_units",
                op="relu"),
        planted("relu_partly_dead", Attention, "__init__", relu_partly_dead, ATTENTION, "graph",
                "dead_units", op="relu"),
    ]  # fmt: skip
