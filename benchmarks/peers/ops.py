"""Ops with a fault in the pullback, and correct ones: arrays in, the result and its pullback out.

Plain numpy, so that every contestant runs the very same forward and the very same backward. The
line that a reader would have to change carries `# fault: <name>`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .verdict import Subject

erf = np.vectorize(math.erf)
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


def tanh_sign(x):
    y = np.tanh(x)
    return y, lambda g: -g * (1 - y * y)  # fault: tanh_sign


def square_without_two(x):
    return x * x, lambda g: g * x  # fault: square_without_two


def sin_scaled(x):
    return np.sin(x), lambda g: g * np.cos(x) * 1.0001  # fault: sin_scaled


def one_entry(x):
    factor = np.ones(x.shape)
    factor.reshape(-1)[-1] = 1.01

    def pullback(g):
        return g * np.cos(x) * factor  # fault: one_entry

    return np.sin(x), pullback


def _normalized(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred, x.var(-1, keepdims=True)


def layer_norm_eps(x):
    centred, var = _normalized(x)
    y = centred / np.sqrt(var + 1e-5)

    def pullback(g):
        rstd = 1 / (np.sqrt(var) + 1e-5)  # fault: layer_norm_eps
        return (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) * rstd

    return y, pullback


def layer_norm_unbiased(x):
    centred, var = _normalized(x)
    n = x.shape[-1]
    y = centred / np.sqrt(var + 1e-5)

    def pullback(g):
        rstd = 1 / np.sqrt(var * n / (n - 1) + 1e-5)  # fault: layer_norm_unbiased
        return (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) * rstd

    return y, pullback


def gelu_mixed(x):
    y = x * (1 + erf(x / np.sqrt(2))) / 2

    def pullback(g):
        t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))  # fault: gelu_mixed
        dt = (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        return g * ((1 + t) / 2 + x * dt / 2)

    return y, pullback


def cotangent_size(x):
    return np.exp(x), lambda g: np.sign(g) * np.exp(x)  # fault: cotangent_size


def cotangent_relu(x):
    y = np.maximum(x, 0)
    return y, lambda g: np.maximum(g, 0) * (x > 0)  # fault: cotangent_relu


def cotangent_changed(x):
    y = np.exp(x)

    def pullback(g):
        g *= y  # fault: cotangent_changed
        return g

    return y, pullback


def second_call(x):
    y = np.exp(x)

    def pullback(g):
        result = g * y
        y[...] *= 2  # fault: second_call
        return result

    return np.exp(x), pullback


def used_twice(x):
    y = x * np.sin(x)
    return y, lambda g: g * np.sin(x)  # fault: used_twice


def embedding_assigns(weight, ids):
    def pullback(g):
        z = np.zeros_like(weight)
        z[ids] = g  # fault: embedding_assigns
        return z, None

    return weight[ids], pullback


def max_ties(x):
    y = x.max(-1, keepdims=True)
    return y, lambda g: g * (x == y)  # fault: max_ties


def raw_buffer(x):
    def pullback(g):
        inner = np.cos(np.ravel(x, order="K").reshape(x.shape))  # fault: raw_buffer
        return g * inner

    return np.sin(x), pullback


def softmax_axis(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-2, keepdims=True))  # fault: softmax_axis


def matmul_transpose(a, b):
    return a @ b, lambda g: (g @ b, a.T @ g)  # fault: matmul_transpose


def cross_entropy_sum(logits, ids):
    shifted = logits - logits.max(-1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    rows = np.arange(len(ids))

    def pullback(g):
        d = p.copy()
        d[rows, ids] -= 1
        return g * d, None  # fault: cross_entropy_sum

    return np.asarray(-np.log(p[rows, ids]).mean()), pullback


def norm_at_zero(x):
    y = np.sqrt((x * x).sum(-1, keepdims=True))
    return y, lambda g: g * x / y  # fault: norm_at_zero


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
    """'ops.py:12' for every line of the op."""
    source, start = inspect.getsourcelines(fn)
    return tuple(f"ops.py:{start + i}" for i in range(len(source)))


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
    _op(tanh_sign, "sign flipped", x=normal(2, 3)),
    _op(square_without_two, "factor 2 of a square missing", x=normal(2, 3)),
    _op(sin_scaled, "gradient times 1.0001", x=normal(2, 3)),
    _op(one_entry, "one entry of 1,024 off by 1 %", x=normal(32, 32)),
    _op(layer_norm_eps, "layer_norm: eps outside the root backward", x=normal(3, 5)),
    _op(layer_norm_unbiased, "layer_norm: unbiased variance backward", x=normal(3, 5)),
    _op(gelu_mixed, "gelu: exact forward, tanh form backward", x=normal(3, 5)),
    _op(cotangent_size, "backward ignores the size of the cotangent", x=normal(2, 3)),
    _op(cotangent_relu, "backward applies relu to the cotangent", x=normal(2, 3)),
    _op(
        cotangent_changed,
        "backward changes its cotangent in place",
        needs="mutation",
        x=normal(2, 3),
    ),
    _op(
        second_call,
        "backward spoils what it saved for a second call",
        needs="mutation",
        x=normal(2, 3),
    ),
    _op(used_twice, "an input used twice is counted once", x=normal(2, 3)),
    _op(
        embedding_assigns,
        "embedding assigns: wrong for repeated ids",
        weight=normal(5, 2),
        ids=np.array([0, 3, 1, 3]),
    ),
    _op(max_ties, "max gives every tie the full gradient", x=normal(3, 4)),
    _op(raw_buffer, "wrong for non-contiguous input only", needs="strides", x=normal(3, 4)),
    _op(softmax_axis, "softmax backward sums the wrong axis", x=normal(3, 3)),
    _op(matmul_transpose, "matmul forgets a transpose (square)", a=normal(3, 3), b=normal(3, 3)),
    _op(
        cross_entropy_sum,
        "cross-entropy not divided by the batch",
        logits=normal(3, 4),
        ids=np.array([0, 3, 1]),
    ),
    _op(norm_at_zero, "norm: NaN gradient at 0", x=normal(3, 4)),
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
