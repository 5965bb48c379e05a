"""Pullbacks that break a law: not linear, not repeatable, not pure, or right at most points only."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from tinytorch import OPS

from .planting import Array, Fault, Planter, fed, in_op, spoilt

X = "inputs: {x: [2, 5]}"
SIN = f"op: sin\n{X}"
EXP = f"op: exp\n{X}"
SQUARE = "op: mul\ninputs: {a: [3, 4], b: [3, 4]}"
WIDE = "op: linear\ninputs: {x: [2, 32], weight: [32, 32], bias: [32]}"


def scaled(factor: float) -> Callable[..., Any]:
    return lambda part, g, y: part * factor


def one_entry(factor: float) -> Callable[..., Any]:
    """One entry of a matrix of 1,024 entries is off."""

    def spoil(part: Array, g: Array, y: Array) -> Array:
        if part.size != 1024:
            return part
        part = part.copy()
        part.flat[539] *= factor
        return part

    return spoil


def first_sample_only(part: Array, g: Array, y: Array) -> Array:
    part = part.copy()
    part[1:] = 0
    return part


def even_lengths_only(part: Array, g: Array, y: Array) -> Array:
    """Wrong where the last axis is even and more than a pair: a median, a stride of 2."""
    n = part.shape[-1] if part.ndim else 1
    return part * 0.5 if n > 2 and n % 2 == 0 else part


def rounded_to_single(part: Array, g: Array, y: Array) -> Array:
    return part.astype(np.float32).astype(part.dtype)


def truncated(part: Array, g: Array, y: Array) -> Array:
    return np.trunc(part)


def clipped(part: Array, g: Array, y: Array) -> Array:
    return np.clip(part, -1.0, 1.0)


def shortened(part: Array, g: Array, y: Array) -> Array:
    return part / max(1.0, float(np.sqrt(np.sum(part * part))))


def small_ones_dropped(part: Array, g: Array, y: Array) -> Array:
    return np.where(np.abs(part) < 0.05 * np.abs(part).max(initial=0.0), 0.0, part)


def noisy(part: Array, g: Array, y: Array) -> Array:
    return part * (1 + 1e-3 * np.random.default_rng().standard_normal(part.shape))


def writes_into_g(part: Array, g: Array, y: Array) -> Array:
    g *= 2
    return part


def writes_into_y(part: Array, g: Array, y: Array) -> Array:
    y += 1
    return part


def wrong_in_the_tail(part: Array, g: Array, y: Array) -> Array:
    """Right where |y| < 5, as everywhere at the declared inputs."""
    return np.where(np.abs(y) < 5, part, 0.9 * part)


def of_one_row_only(part: Array, g: Array, y: Array) -> Array:
    """Right for a batch of up to two."""
    return part if len(part) < 3 else part / 2


def squeezed(part: Array, g: Array, y: Array) -> Array:
    """Right unless the batch is 1."""
    return part.reshape(part.shape[1:]) if len(part) == 1 else part


def calls_add_up() -> Planter:
    """The pullback adds its answers up over all calls."""

    def remember() -> Callable[..., Any]:
        total: list[Any] = [0.0]

        def spoil(part: Array, g: Array, y: Array) -> Array:
            total[0] = part + total[0] if np.shape(total[0]) == part.shape else part
            return total[0].copy()

        return spoil

    return lambda: spoilt("sin", remember())()


def writes_again_to_what_it_returned() -> Planter:
    def remember() -> Callable[..., Any]:
        buffers: dict[Any, Array] = {}

        def spoil(part: Array, g: Array, y: Array) -> Array:
            buffer = buffers.setdefault((part.shape, part.dtype), np.empty_like(part))
            buffer[...] = part
            return buffer

        return spoil

    return lambda: spoilt("sin", remember())()


def replaced_fn(op: str, fn: Callable[..., Any]) -> Planter:
    return lambda: patch.object(OPS[op], "fn", fn)


def spoils_what_it_saved(x: Array) -> Any:
    y = np.exp(x)
    saved = y.copy()

    def pullback(g: Array) -> Array:
        part = g * saved
        saved[...] = 0  # 'freed' too early
        return part

    return y, pullback


@contextmanager
def first_activation_kept() -> Any:
    """The pullback of exp uses the activation of the first call with that shape, for ever."""
    kept: dict[tuple[int, ...], Array] = {}

    def fn(x: Array) -> Any:
        y = np.exp(x)
        saved = kept.setdefault(x.shape, y)
        return y, lambda g: g * saved

    with patch.object(OPS["exp"], "fn", fn):
        yield


def reads_raw_buffer(x: Array) -> Any:
    def pullback(g: Array) -> Array:
        raw = np.ravel(x, order="K").reshape(x.shape)  # the order in memory
        return g * np.cos(raw)

    return np.sin(x), pullback


def ignores_layout_of_g(x: Array) -> Any:
    def pullback(g: Array) -> Array:
        return np.ravel(g, order="K").reshape(x.shape) * np.cos(x)

    return np.sin(x), pullback


def writes_into_input(x: Array) -> Any:
    y = np.exp(x)

    def pullback(g: Array) -> Array:
        x[...] = 0
        return g * y

    return y, pullback


def forward_writes_into_input(x: Array) -> Any:
    y = np.exp(x)
    x -= x.mean()
    return y, lambda g: g * y


def answers_in_the_wrong_order(a: Array, b: Array) -> Any:
    return a * b, lambda g: (g * a, g * b)


def second_input_forgotten(a: Array, b: Array) -> Any:
    return a * b, lambda g: (g * b, None)


def zero_for_the_second_input(a: Array, b: Array) -> Any:
    return a * b, lambda g: (g * b, np.zeros_like(b))


def square_by_division(a: Array, b: Any) -> Any:
    """a² with the pullback written as 2 y / a: NaN at 0."""
    y = a**b

    def pullback(g: Array) -> Any:
        with np.errstate(all="ignore"):
            return g * b * y / a, None

    return y, pullback


def largest_to_every_tie(x: Array, dim: Any = None, keepdim: bool = False) -> Any:
    y = x.max(axis=dim, keepdims=True)
    result = y if keepdim else np.squeeze(y, dim)
    return result, lambda g: np.reshape(g, y.shape) * (x == y)


largest_to_every_tie.__annotations__.update(dim=int)


def _plain(
    name: str, plant: Planter, case: str, finding: str = "wrong_gradient", **more: str
) -> Fault:
    op = case.split()[1]
    return Fault(name, plant, case, "gradient", finding, {"op": op, **more})


def faults() -> list[Fault]:
    return [
        _plain("sign_flipped", spoilt("sin", scaled(-1.0)), SIN),
        _plain("factor_two", spoilt("sin", scaled(2.0)), SIN),
        _plain("times_1.0001", spoilt("sin", scaled(1.0001)), SIN),
        _plain("off_by_a_millionth", spoilt("sin", scaled(1 + 1e-6)), SIN),
        _plain("off_by_a_ten_millionth", spoilt("sin", scaled(1 + 1e-7)), SIN),
        _plain("one_of_1024_off_by_a_percent", spoilt("linear", one_entry(1.01)), WIDE),
        _plain("one_of_1024_off_by_a_millionth", spoilt("linear", one_entry(1 + 1e-6)), WIDE),
        _plain("rounded_to_single", spoilt("sin", rounded_to_single), SIN, "not_linear"),
        _plain("first_sample_only", spoilt("sin", first_sample_only), SIN),
        _plain("truncated_to_integers", spoilt("sin", truncated), SIN, "not_linear"),
        _plain("clipped_to_one", spoilt("sin", clipped), SIN, "not_linear"),
        _plain("norm_clipped", spoilt("sin", shortened), SIN, "not_linear"),
        _plain("small_entries_dropped", spoilt("sin", small_ones_dropped), SIN, "not_linear"),
        _plain("cotangent_size_ignored", fed("sin", np.sign), SIN, "not_linear"),
        _plain("cotangent_relu", fed("sin", lambda g: np.maximum(g, 0)), SIN, "not_linear"),
        _plain("cotangent_abs", fed("sin", np.abs), SIN, "not_linear"),
        _plain("cotangent_clamped", fed("sin", lambda g: np.clip(g, -1, 1)), SIN, "not_linear"),
        _plain(
            "cotangent_normalised",
            fed("sin", lambda g: g / (np.abs(g).max() or 1)),
            SIN,
            "not_linear",
        ),
        _plain("cotangent_taken_for_ones", fed("sin", np.ones_like), SIN, "not_linear"),
        _plain("cotangent_squared", fed("sin", np.square), SIN, "not_linear"),
        _plain("cotangent_first_entry", fed("sin", lambda g: np.full_like(g, g.flat[0])), SIN),
        _plain("writes_into_the_cotangent", spoilt("exp", writes_into_g), EXP, "mutates"),
        _plain("writes_into_the_result", spoilt("exp", writes_into_y), EXP, "mutates"),
        _plain("writes_into_the_input", replaced_fn("exp", writes_into_input), EXP, "mutates"),
        _plain(
            "forward_writes_into_the_input",
            replaced_fn("exp", forward_writes_into_input),
            EXP,
            "mutates",
        ),
        _plain(
            "spoils_what_it_saved", replaced_fn("exp", spoils_what_it_saved), EXP, "not_repeatable"
        ),
        _plain("returns_its_own_buffer", writes_again_to_what_it_returned(), SIN, "mutates"),
        _plain("answers_add_up_over_calls", calls_add_up(), SIN, "not_repeatable"),
        _plain("noise_in_the_pullback", spoilt("sin", noisy), SIN, "not_repeatable"),
        _plain("stale_activation", first_activation_kept, EXP),
        _plain("raw_buffer_of_the_input", replaced_fn("sin", reads_raw_buffer), SIN),
        _plain("raw_buffer_of_the_cotangent", replaced_fn("sin", ignores_layout_of_g), SIN),
        _plain("answers_swapped", replaced_fn("mul", answers_in_the_wrong_order), SQUARE),
        _plain(
            "second_input_forgotten",
            replaced_fn("mul", second_input_forgotten),
            SQUARE,
            "missing_gradient",
        ),
        _plain(
            "second_input_zero",
            replaced_fn("mul", zero_for_the_second_input),
            SQUARE,
            "missing_gradient",
        ),
        _plain(
            "nan_at_zero",
            replaced_fn("pow", square_by_division),
            "op: pow\ninputs: {a: [2, 5]}\nargs: {b: 2}",
            "not_finite",
        ),
        _plain(
            "every_tie_gets_everything",
            replaced_fn("max", largest_to_every_tie),
            "op: max\ninputs: {x: [3, 4]}\nargs: {dim: 1}",
        ),
        _plain("wrong_for_large_values", spoilt("mul", wrong_in_the_tail), SQUARE),
        _plain("wrong_from_batch_three", spoilt("sin", of_one_row_only), SIN),
        _plain("wrong_for_even_lengths", spoilt("sin", even_lengths_only), SIN),
        _plain(
            "argument_left_out",
            in_op("softplus", ("_sigmoid(z)", "_sigmoid(x)")),
            "op: softplus\ninputs: {x: [2, 5]}",
        ),
        _plain("wrong_shape_at_batch_one", spoilt("mul", squeezed), SQUARE, "bad_shape"),
        _plain(
            "broadcast_axis_not_summed",
            in_op("mul", ("lambda g: g * a", "lambda g: (g * a)[..., :1] if b.shape[-1] == 1 else g * a")),
            "op: mul\ninputs: {a: [3, 4], b: [3, 4]}",
        ),
    ]  # fmt: skip
