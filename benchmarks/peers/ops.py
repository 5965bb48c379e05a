"""Ops with a fault in the pullback, and correct ones: arrays in, the result and its pullback out.

Plain numpy, so that every contestant runs the very same forward and the very same backward. The
wrong ones come from gradcheck's catalogue of faults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gradcheck.plugins._faults import wrong_ops

from .verdict import WRONG_OPS, Subject

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class OpSubject(Subject):
    """fn: the op. inputs: its arrays by name; integer arrays get no gradient.

    drawn: the inputs are any numbers, so that a tool that draws its own may do so.
    """

    fn: Callable[..., Any] = lambda: None
    inputs: tuple[tuple[str, Any], ...] = ()
    drawn: bool = True

    @property
    def arrays(self) -> dict[str, Any]:
        return {name: np.array(value) for name, value in self.inputs}


def relu(x):
    return np.maximum(x, 0), lambda g: g * (x > 0)


def absolute(x):
    return np.abs(x), lambda g: g * np.sign(x)


def max_shared(x):
    y = x.max(-1, keepdims=True)
    chosen = (x == y).astype(x.dtype)
    return y, lambda g: g * chosen / chosen.sum(-1, keepdims=True)


def float32_gelu(x):
    x = x.astype(np.float32)  # as a framework does that knows no other dtype
    a = x.dtype.type(np.sqrt(2 / np.pi))
    t = np.tanh(a * (x + 0.044715 * x * x * x))

    def pullback(g):
        return g * ((1 + t) / 2 + x * (1 - t * t) * a * (1 + 0.134145 * x * x) / 2)

    return x * (1 + t) / 2, pullback


def embedding(weight, ids):
    def pullback(g):
        z = np.zeros_like(weight)
        np.add.at(z, ids, g)
        return z, None

    return weight[ids], pullback


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-1, keepdims=True))


def exp(x):
    y = np.exp(x)
    return y, lambda g: g * y


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def _body(fn: Callable[..., Any]) -> tuple[str, ...]:
    """'wrong_ops.py:12' for every line of the op."""
    source, start = inspect.getsourcelines(fn)
    return tuple(f"{WRONG_OPS.name}:{start + i}" for i in range(len(source)))


def _inputs_named(names: tuple[str, ...]) -> list[str]:
    """How the tools name an input, with its number or its name and an entry."""
    numbered = [f"{word}{i}" for i in range(len(names)) for word in ("input ", "input_")]
    return numbered + [f"{name}[" for name in names]


def _op(fn: Callable[..., Any], title: str, *, needs: str = "", **inputs: Any) -> OpSubject:
    names = tuple(inputs)
    return OpSubject(
        id=fn.__name__,
        title=title,
        kind="op",
        words=(fn.__name__, f"peers_{fn.__name__}", *_inputs_named(names)),
        lines=_body(fn),
        needs=frozenset(needs.split()),
        fn=fn,
        inputs=tuple(inputs.items()),
    )


def _right(
    id: str, fn: Callable[..., Any], title: str, *, needs: str = "", **inputs: Any
) -> OpSubject:
    return OpSubject(
        id=id,
        title=title,
        kind="op",
        correct=True,
        drawn=False,
        needs=frozenset(needs.split()),
        fn=fn,
        inputs=tuple(inputs.items()),
    )


FAULTS = [
    _op(wrong_ops.tanh_sign, "sign flipped", x=normal(2, 3)),
    _op(wrong_ops.square_without_two, "factor 2 of a square missing", x=normal(2, 3)),
    _op(wrong_ops.sin_scaled, "gradient times 1.0001", x=normal(2, 3)),
    _op(wrong_ops.one_entry, "one entry of 1,024 off by 1 %", x=normal(32, 32)),
    _op(
        wrong_ops.layer_norm_eps_outside,
        "layer_norm: eps outside the root backward",
        x=normal(3, 5),
    ),
    _op(wrong_ops.layer_norm_unbiased, "layer_norm: unbiased variance backward", x=normal(3, 5)),
    _op(wrong_ops.gelu_mixed, "gelu: exact forward, tanh form backward", x=normal(3, 5)),
    _op(wrong_ops.cotangent_size, "backward ignores the size of the cotangent", x=normal(2, 3)),
    _op(wrong_ops.relu_of_cotangent, "backward applies relu to the cotangent", x=normal(2, 3)),
    _op(
        wrong_ops.exp_changes_cotangent,
        "backward changes its cotangent in place",
        needs="mutation",
        x=normal(2, 3),
    ),
    _op(
        wrong_ops.second_call,
        "backward spoils what it saved for a second call",
        needs="mutation",
        x=normal(2, 3),
    ),
    _op(wrong_ops.used_twice, "an input used twice is counted once", x=normal(2, 3)),
    _op(
        wrong_ops.embedding_assigns,
        "embedding assigns: wrong for repeated ids",
        weight=normal(5, 2),
        ids=np.array([0, 3, 1, 3]),
    ),
    _op(wrong_ops.max_to_every_tie, "max gives every tie the full gradient", x=normal(3, 4)),
    _op(
        wrong_ops.raw_buffer, "wrong for non-contiguous input only", needs="strides", x=normal(3, 4)
    ),
    _op(wrong_ops.softmax_wrong_axis, "softmax backward sums the wrong axis", x=normal(3, 3)),
    _op(
        wrong_ops.matmul_untransposed,
        "matmul forgets a transpose (square)",
        a=normal(3, 3),
        b=normal(3, 3),
    ),
    _op(
        wrong_ops.cross_entropy_sum,
        "cross-entropy not divided by the batch",
        logits=normal(3, 4),
        ids=np.array([0, 3, 1]),
    ),
    _op(wrong_ops.norm_at_zero, "norm: NaN gradient at 0", x=normal(3, 4)),
]

CORRECT = [
    _right("relu_at_kink", relu, "relu at its kink", x=np.array([[-1.0, 0.0, 2.0]])),
    _right("relu_near_kink", relu, "relu 1e-7 from its kink", x=np.array([[-1.0, 1e-7, -1e-7]])),
    _right("abs_at_kink", absolute, "abs at its kink", x=np.array([[-1.0, 0.0, 2.0]])),
    _right(
        "max_at_ties",
        max_shared,
        "max that shares the gradient among ties",
        x=np.array([[1.0, 2.0, 2.0], [3.0, 0.5, 0.5]]),
    ),
    _right("float32_gelu", float32_gelu, "gelu computed in float32", x=normal(3, 5)),
    _right(
        "unused_rows",
        embedding,
        "embedding with unused rows (a true zero)",
        weight=normal(6, 2),
        ids=np.array([0, 3, 3]),
    ),
    _right("constant_sum", softmax, "softmax: its sum is constant", x=normal(3, 5)),
    _right(
        "wide_scale", exp, "gradients from 1e-9 to 1e9 in one tensor", x=np.linspace(-20, 20, 9)
    ),
]
