"""Functions of tinytorch, with ops written here: cancelling terms, wide ranges, ties, guards."""

# ruff: noqa: E501  a row is a program

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from programs.drawing import Array, Draw, Program
from tinytorch import Tensor, op
from tinytorch.nn import functional as F

Row = tuple[Callable[..., Any], Callable[[Draw], Sequence[Array]]]


def own(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    """An op of this module; forward: arrays -> (result, pullback)."""
    forward.__name__ = f"program_{name}"
    return op(forward)


def elementwise(name: str, f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Any:
    def forward(x: Array) -> Any:
        return f(x), lambda g: g * slope(x)

    return own(name, forward)


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))


ELEMENTWISE = {
    "exp_plus_x": (lambda x: np.exp(x) + x, lambda x: np.exp(x) + 1),
    "exp_minus_3x": (lambda x: np.exp(x) - 3 * x, lambda x: np.exp(x) - 3),
    "kl_of_vae": (lambda x: 0.5 * (np.exp(x) - x - 1), lambda x: 0.5 * np.expm1(x)),
    "half_exp_2x": (lambda x: 0.5 * np.exp(2 * x) - x, lambda x: np.exp(2 * x) - 1),
    "density_in_log": (lambda x: np.exp(-2 * x) - x, lambda x: -2 * np.exp(-2 * x) - 1),
    "softplus": (lambda x: np.logaddexp(0, x), sigmoid),
    "swish": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "logcosh": (lambda x: np.logaddexp(x, -x) - np.log(2), np.tanh),
    "gaussian": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "cubic": (lambda x: x**3 - x, lambda x: 3 * x * x - 1),
    "bump": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "sine_squared": (lambda x: np.sin(x) ** 2, lambda x: np.sin(2 * x)),
    "relu_squared": (lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0)),
    "soft_threshold": (
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), lambda x: 1.0 * (np.abs(x) > 0.5)),
    "triangle": (lambda x: np.maximum(1 - np.abs(x), 0), lambda x: -np.sign(x) * (np.abs(x) < 1)),
    "floor": (np.floor, np.zeros_like),
    "huber": (lambda x: np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - 0.5), lambda x: np.clip(x, -1, 1)),
    "arcsinh": (np.arcsinh, lambda x: 1 / np.sqrt(1 + x * x)),
    "signed_root": (lambda x: np.sign(x) * (np.sqrt(np.abs(x) + 0.1) - 0.1**0.5), lambda x: 0.5 / np.sqrt(np.abs(x) + 0.1)),
    "log1p_square": (lambda x: np.log1p(x * x), lambda x: 2 * x / (1 + x * x)),
    "atan_wide": (lambda x: np.arctan(1e3 * x), lambda x: 1e3 / (1 + 1e6 * x * x)),
    "tiny_slope": (lambda x: 1e-9 * np.sin(x), lambda x: 1e-9 * np.cos(x)),
    "huge_slope": (lambda x: 1e9 * np.sin(x), lambda x: 1e9 * np.cos(x)),
    "offset": (lambda x: 1e6 + np.sin(x), np.cos),
}  # fmt: skip
"""name: (function, derivative)."""


def _rows(name: str, value: Callable[..., Any], pulled: Callable[..., Any]) -> Any:
    def forward(x: Array) -> Any:
        y = value(x)
        return y, lambda g: pulled(x, y, g)

    return own(name, forward)


def _row_norm(x: Array) -> Array:
    return np.asarray(np.sqrt((x * x).sum(-1, keepdims=True)))


def _centred(g: Array) -> Array:
    return np.asarray(g - g.mean(-1, keepdims=True))


def _layer_norm(x: Array) -> Any:
    d = _centred(x)
    inverse = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    y = d * inverse
    return y, lambda g: inverse * (_centred(g) - y * (g * y).mean(-1, keepdims=True))


def _softmax(x: Array) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-1, keepdims=True))


def _sorted(x: Array) -> Any:
    order = np.argsort(x, axis=-1, kind="stable")
    back = np.argsort(order, axis=-1)
    return np.take_along_axis(x, order, -1), lambda g: np.take_along_axis(g, back, -1)


def _checked_log(x: Array) -> Any:
    if not np.isfinite(x).all() or (x <= 0).any():
        raise ValueError("log of what is not positive")
    return np.log(x), lambda g: g / x


def _inverse(a: Array) -> Any:
    y = np.linalg.inv(a)
    t = np.swapaxes(y, -1, -2)
    return y, lambda g: -t @ g @ t


def _cholesky(a: Array) -> Any:
    a = (a + a.T) / 2
    factor = np.linalg.cholesky(a)

    def pullback(g: Array) -> Array:
        inverse = np.linalg.inv(factor)
        phi = np.tril(factor.T @ np.tril(g))
        phi[np.diag_indices_from(phi)] /= 2
        s = inverse.T @ phi @ inverse
        return np.asarray((s + s.T) / 2)

    return factor, pullback


def _solve(a: Array, b: Array) -> Any:
    x = np.linalg.solve(a, b)

    def pullback(g: Array) -> Any:
        v = np.linalg.solve(a.T, g)
        return -v @ x.T, v

    return x, pullback


def _row_weight(x: Array, w: Array) -> Any:
    """A weight for each row: does not follow numpy's broadcasting."""
    return x * w[:, None], lambda g: (g * w[:, None], (g * x).sum(1))


WHOLE: dict[str, Row] = {
    "l2_normalize": (_rows("l2", lambda x: x / _row_norm(x), lambda x, y, g: (g - y * (g * y).sum(-1, keepdims=True)) / _row_norm(x)), lambda d: [d.normal(3, 4)]),
    "cumsum": (_rows("cumsum", lambda x: np.cumsum(x, -1), lambda x, y, g: np.cumsum(g[..., ::-1], -1)[..., ::-1]), lambda d: [d.normal(3, 4)]),
    "logsumexp": (_rows("logsumexp", lambda x: np.log(np.exp(x).sum(-1, keepdims=True)), lambda x, y, g: g * np.exp(x - y)), lambda d: [d.normal(3, 4)]),
    "mean_of_squares": (_rows("squares", lambda x: np.asarray((x * x).mean()), lambda x, y, g: g * 2 * x / x.size), lambda d: [d.normal(3, 4)]),
    "layer_norm": (own("layer_norm", _layer_norm), lambda d: [d.normal(3, 4)]),
    "layer_norm constant": (own("layer_norm_constant", _layer_norm), lambda d: [d.constant(3, 4)]),
    "layer_norm of two": (own("layer_norm_two", _layer_norm), lambda d: [d.normal(2, 2)]),
    "layer_norm of one": (own("layer_norm_one", _layer_norm), lambda d: [d.normal(2, 1)]),
    "softmax": (own("softmax", _softmax), lambda d: [d.normal(3, 4)]),
    "softmax saturated": (own("softmax_far", _softmax), lambda d: [d.large(3, 4)]),
    "softmax constant": (own("softmax_constant", _softmax), lambda d: [d.constant(3, 4)]),
    "sort": (own("sort", _sorted), lambda d: [d.normal(3, 4)]),
    "sort tied": (own("sort_tied", _sorted), lambda d: [d.rounded(3, 4)]),
    "log that checks": (own("checked_log", _checked_log), lambda d: [d.positive(3, 4)]),
    "inverse": (own("inverse", _inverse), lambda d: [d.square(3)]),
    "cholesky": (own("cholesky", _cholesky), lambda d: [d.spd(3)]),
    "solve": (own("solve", _solve), lambda d: [d.square(3), d.normal(3, 2)]),
    "row weight": (own("row_weight", _row_weight), lambda d: [d.normal(3, 4), d.normal(3)]),
}  # fmt: skip


def _attention(q: Any, k: Any, v: Any) -> Any:
    return F.softmax(q @ k.transpose(-1, -2) / 2.0, -1) @ v


def _truncated(x: Any, w: Any) -> Any:
    h = x
    for _ in range(4):
        h = F.tanh(h @ w)
    return h


COMPOSED: dict[str, Row] = {
    "attention": (_attention, lambda d: [d.normal(3, 4), d.normal(5, 4), d.normal(5, 2)]),
    "attention of itself": (lambda x: _attention(x, x, x), lambda d: [d.normal(3, 4)]),
    "attention sharp": (lambda q, k, v: _attention(9 * q, 9 * k, v), lambda d: [d.normal(3, 4), d.normal(5, 4), d.normal(5, 2)]),
    "recurrent": (_truncated, lambda d: [d.normal(2, 3), d.normal(3, 3)]),
    "gated": (lambda x, w: F.sigmoid(x @ w) * F.tanh(x), lambda d: [d.normal(2, 3), d.normal(3, 3)]),
    "residual": (lambda x, w: x + F.relu(x @ w), lambda d: [d.normal(2, 3), d.normal(3, 3)]),
    "tied": (lambda x, w: F.tanh(x @ w) @ w.transpose(0, 1), lambda d: [d.normal(2, 3), d.normal(3, 3)]),
    "variance": (lambda x: ((x - x.mean(0)) ** 2).mean(0), lambda d: [d.normal(4, 3)]),
    "weight norm": (lambda x, v, g: x @ (v / (v * v).sum(0).sqrt() * g), lambda d: [d.normal(2, 3), d.normal(3, 4), d.positive(4)]),
    "gaussian kernel": (lambda x, y: (-((x[:, None] - y[None]) ** 2).sum(-1)).exp(), lambda d: [d.normal(3, 2), d.normal(4, 2)]),
    "mixture density": (lambda w, m: -(F.softmax(w, -1) * (-(m * m)).exp()).sum(-1).log().mean(), lambda d: [d.normal(3, 4), d.normal(3, 4)]),
    "information": (lambda a, b: F.cross_entropy(a @ b.transpose(0, 1), Tensor(np.arange(3))), lambda d: [d.normal(3, 4), d.normal(3, 4)]),
    "cross_entropy far": (lambda x: F.cross_entropy(x, Tensor(np.array([1, 0, 2]))), lambda d: [d.large(3, 4)]),
    "embedding repeated": (lambda i, w: F.embedding(i, w), lambda d: [d.ids(3, 8), d.normal(3, 4)]),
    "rows repeated": (lambda i, w: w[i] * w[i], lambda d: [d.ids(3, 6), d.normal(3, 2)]),
    "difference of large": (lambda x: (x + 1e6) - 1e6 * x / x, lambda d: [d.positive(3, 4)]),
    "max over rows": (lambda x: x.max(0).values if hasattr(x.max(0), "values") else x.max(0), lambda d: [d.normal(3, 4)]),
    "broadcast both": (lambda a, b: a * b, lambda d: [d.normal(3, 1), d.normal(1, 4)]),
    "number": (lambda x, a: x * a, lambda d: [d.normal(3, 4), d.normal()]),
    "unused part": (lambda x: x[:, :2] ** 2, lambda d: [d.normal(3, 4)]),
}  # fmt: skip
KINDS = ("normal", "large", "tiny", "rounded", "zeros")


def programs() -> Iterator[Program]:
    for name, (f, slope) in ELEMENTWISE.items():
        made = elementwise(name, f, slope)
        for kind in KINDS:
            if (name, kind) != ("floor", "rounded"):  # jumps at every one of its arguments
                yield Program(
                    f"{name}_{kind}", "tinytorch", made, lambda d, k=kind: [getattr(d, k)(3, 4)]
                )
    for table in (WHOLE, COMPOSED):
        for name, (fn, inputs) in table.items():
            yield Program(name.replace(" ", "_"), "tinytorch", fn, inputs)
