"""Faults that only unusual values, sizes, cotangents or a second call show."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from tinytorch import OPS

from .planting import Array, Fault, Planter, fed, in_op, spoilt

SIN = "op: sin\ninputs: {x: [2, 5]}"
SUM = "op: sum\ninputs: {x: [2, 4]}\nargs: {dim: -1}"


def short_axes_only(part: Array, g: Array, y: Array) -> Array:
    """A loop over blocks of eight forgets what is left over."""
    part = part.copy()
    whole = part.shape[-1] // 8 * 8
    if whole:
        part[..., whole:] = 0
    return part


def wrong_on_one_entry(part: Array, g: Array, y: Array) -> Array:
    return part / 2 if part.shape[-1:] == (1,) else part


def with_decay(part: Array, g: Array, y: Array) -> Array:
    return part + 0.01 * y


def in_half_precision(part: Array, g: Array, y: Array) -> Array:
    with np.errstate(all="ignore"):
        return part.astype(np.float16).astype(part.dtype)


def joint_norm_clipped(g: Array) -> Array:
    return g * min(1.0, 100.0 / float(np.linalg.norm(g) or 1.0))


def small_dropped(g: Array) -> Array:
    return np.where(np.abs(g) < 1e-8, 0.0, g)


def saved_on_the_op(op: str, derivative: Callable[[Array], Array]) -> Planter:
    """What the pullback needs is kept in one place for all calls: the last call wins."""

    @contextmanager
    def plant() -> Any:
        saved: dict[str, Array] = {}
        right = OPS[op].fn

        def fn(x: Array, **attrs: Any) -> Any:
            y, _ = right(x, **attrs)
            saved["x"] = np.array(x)
            return y, lambda g: g * derivative(saved["x"])

        with patch.object(OPS[op], "fn", fn):
            yield

    return plant


def _plain(
    name: str, plant: Planter, case: str, finding: str = "wrong_gradient", **expect: str
) -> Fault:
    op = case.split()[1]
    return Fault(name, plant, case, "gradient", finding, {"op": op, **expect})


def faults() -> list[Fault]:
    return [
        _plain("rest_of_the_blocks_forgotten", spoilt("sum", short_axes_only), SUM),
        _plain("wrong_for_a_single_entry", spoilt("sum", wrong_on_one_entry), SUM),
        _plain(
            "decay_in_the_pullback",
            spoilt("sin", with_decay),
            SIN,
            "not_linear",
            message="a cotangent of zeros",
        ),
        _plain(
            "pullback_in_half_precision",
            spoilt("sin", in_half_precision),
            SIN,
            "not_linear",
            message="smaller dtype",
        ),
        _plain("clipped_at_a_hundred", fed("sin", joint_norm_clipped), SIN, "not_linear"),
        _plain("cotangents_below_1e-8_dropped", fed("sin", small_dropped), SIN, "not_linear"),
        _plain(
            "activation_of_the_last_call",
            saved_on_the_op("sin", np.cos),
            SIN,
            "not_repeatable",
            message="called on other inputs",
        ),
        _plain(
            "logsumexp_without_shift",
            in_op("logsumexp", ("m = x.real.max(axis=dim, keepdims=True)", "m = 0 * x.max(dim, keepdims=True)")),
            "op: logsumexp\ninputs: {x: [2, 5]}\nargs: {dim: -1}",
            "overflows",
        ),
        _plain(
            "softmax_without_shift",
            in_op("softmax", ("x - x.real.max(axis=dim, keepdims=True)", "x")),
            "op: softmax\ninputs: {x: [2, 5]}\nargs: {dim: -1}",
            "overflows",
        ),
        _plain(
            "tanh_pullback_of_exponentials",
            in_op("tanh", ("g * (1 - y * y)", "g * 4 / (np.exp(x) + np.exp(-x)) ** 2 * np.exp(x) / np.exp(x)")),
            "op: tanh\ninputs: {x: [2, 5]}",
            "overflows",
            parameter="x",
        ),
    ]  # fmt: skip
