"""Wrong backward formulas, each planted in an op of its own: the check names op, entry and kind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support.numerics import check_op
from tinytorch.ops._erf import erf

X = {"x": (3, 4)}


def sign_flipped(x):
    y = np.tanh(x)
    return y, lambda g: -g * (1 - y * y)


def square_without_two(x):
    return x * x, lambda g: g * x


def times_1_0001(x):
    return np.sin(x), lambda g: g * np.cos(x) * 1.0001


def times_1_0000001(x):
    return np.sin(x), lambda g: g * np.cos(x) * (1 + 1e-7)


def _norm(x, eps_inside=True, unbiased=False, drop_variance=False):
    n = x.shape[-1]
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    y = centred / np.sqrt(variance + 1e-2)

    def pullback(g):
        v = variance * n / (n - 1) if unbiased else variance
        root = np.sqrt(v + 1e-2) if eps_inside else np.sqrt(v) + 1e-2
        hat = centred / root
        out = g - g.mean(-1, keepdims=True)
        if not drop_variance:
            out = out - hat * (g * hat).mean(-1, keepdims=True)
        return out / root

    return y, pullback


def eps_outside_the_root(x):
    return _norm(x, eps_inside=False)


def unbiased_variance_in_backward(x):
    return _norm(x, unbiased=True)


def variance_term_dropped(x):
    return _norm(x, drop_variance=True)


def gelu_with_the_tanh_backward(x):
    y = 0.5 * x * (1 + erf(x / math.sqrt(2)))

    def pullback(g):
        c = math.sqrt(2 / math.pi)
        t = np.tanh(c * (x + 0.044715 * x**3))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))

    return y, pullback


def ignores_the_size_of_the_cotangent(x):
    return 3 * x, lambda g: 3 * np.sign(g)


def relu_on_the_cotangent(x):
    return 3 * x, lambda g: 3 * np.maximum(g, 0)


def clips_the_cotangent(x):
    return 3 * x, lambda g: 3 * np.clip(g, -5, 5)


def changes_its_cotangent(x):
    def pullback(g):
        g *= 2 * x
        return g

    return x * x, pullback


def spoils_what_it_saved(x):
    y = np.exp(x)
    saved = y.copy()

    def pullback(g):
        out = g * saved
        saved[...] = 0
        return out

    return y, pullback


def changes_its_input(x):
    y = x * x
    x += 1
    return y, lambda g: 2 * g * (x - 1)


def used_twice_counted_once(x):
    return x * np.exp(x), lambda g: g * np.exp(x)


def softmax_over_the_wrong_axis(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-2, keepdims=True))


def not_over_the_batch(x):
    return np.mean(x * x, axis=0), lambda g: 2 * x * g


def one_entry_off(x):
    def pullback(g):
        out = 2 * g * x
        out[17, 5] *= 1.01
        return out

    return x * x, pullback


def one_entry_off_by_1e_6(x):
    def pullback(g):
        out = g * np.cos(x)
        out[3, 2] *= 1 + 1e-6
        return out

    return np.sin(x), pullback


def zero_backward(x):
    return np.exp(x), lambda g: np.zeros_like(x)


def nan_at_zero(x):
    y = np.sqrt((x * x).sum(-1))
    return y, lambda g: g[..., None] * x / y[..., None]


def where_behind_the_root(x):
    positive = x > 0
    y = np.where(positive, np.sqrt(np.where(positive, x, 0.0)), 0.0)
    return y, lambda g: np.where(positive, g, 0.0) * 0.5 / np.sqrt(np.where(positive, x, 0.0))


ROWS = [
    (sign_flipped, X, "wrong_gradient", "sign"),
    (square_without_two, X, "wrong_gradient", "1/2"),
    (times_1_0001, X, "wrong_gradient", "1.0001"),
    (times_1_0000001, X, "wrong_gradient", ""),
    (eps_outside_the_root, {"x": (3, 5)}, "wrong_gradient", ""),
    (unbiased_variance_in_backward, {"x": (3, 5)}, "wrong_gradient", ""),
    (variance_term_dropped, {"x": (3, 5)}, "wrong_gradient", ""),
    (gelu_with_the_tanh_backward, X, "wrong_gradient", ""),
    (ignores_the_size_of_the_cotangent, X, "not_linear", ""),
    (relu_on_the_cotangent, X, "not_linear", ""),
    (clips_the_cotangent, X, "not_linear", ""),
    (changes_its_cotangent, X, "mutates", "cotangent"),
    (spoils_what_it_saved, X, "not_repeatable", "second time"),
    (changes_its_input, X, "mutates", ""),
    (used_twice_counted_once, X, "wrong_gradient", ""),
    (softmax_over_the_wrong_axis, {"x": (4, 4)}, "wrong_gradient", ""),
    (not_over_the_batch, {"x": (4, 3)}, "wrong_gradient", "4"),
    (one_entry_off, {"x": (32, 32)}, "wrong_gradient", "1 of 1024"),
    (one_entry_off_by_1e_6, {"x": (8, 8)}, "wrong_gradient", "1 of 64"),
    (zero_backward, X, "missing_gradient", "exactly zero"),
    (nan_at_zero, X, "not_finite", "nan"),
    (where_behind_the_root, X, "not_finite", "nan"),
]


@pytest.mark.parametrize(("op", "inputs", "code", "text"), ROWS, ids=[r[0].__name__ for r in ROWS])
def test_planted_fault_is_found_and_named(op, inputs, code, text):
    result = check_op(op, inputs)
    assert result.outcome == "failed"
    first = result.findings[0]
    told = " ".join([first.message, *first.lines])
    assert first.code == code
    assert op.__name__ in told
    assert text in told


def test_the_entry_is_named():
    finding = check_op(one_entry_off, {"x": (32, 32)}).findings[0]
    assert finding.index == (17, 5)
    assert finding.relative_error == pytest.approx(0.01, rel=0.02)
    finding = check_op(one_entry_off_by_1e_6, {"x": (8, 8)}).findings[0]
    assert finding.index == (3, 2)
    assert finding.relative_error == pytest.approx(1e-6, rel=0.01)


def test_the_entry_is_named_without_the_budget_to_look_at_each():
    finding = check_op(one_entry_off, {"x": (32, 32)}, budget=1e3).findings[0]
    assert finding.index == (17, 5)
    assert finding.analytic == pytest.approx(1.01 * finding.numeric, rel=1e-6)


# --- what only a derived input shows ------------------------------------------------------------


def embedding_assigns(weight, ids):
    def pullback(g):
        out = np.zeros_like(weight)
        out[ids] = g
        return out, None

    return weight[ids], pullback


def max_gives_every_tie_all(x):
    y = x.max(-1, keepdims=True)
    return y[..., 0], lambda g: g[..., None] * (x == y)


def maximum_gives_both_all(a, b):
    return np.maximum(a, b), lambda g: (g * (a >= b), g * (b >= a))


def reads_the_raw_buffer(x):
    def pullback(g):
        raw = np.frombuffer(x.tobytes("A"), dtype=x.dtype).reshape(x.shape)
        return 2 * g * raw

    return x * x, pullback


def matmul_forgets_a_transpose(a, b):
    return a @ b, lambda g: (g @ b if b.shape[0] == b.shape[1] else g @ b.T, a.T @ g)


def batch_of_two_hard_coded(x):
    return (x * x).mean(), lambda g: g * 2 * x / (2 * x.shape[1])


def adds_without_reducing(a, b):
    def pullback(g):
        return g, np.broadcast_to(g[:1], b.shape) if b.shape[0] == 1 else g

    return a + b, pullback


VARIANTS = [
    (
        embedding_assigns,
        {"weight": (6, 3), "ids": {"values": [0, 1, 2, 3], "dtype": "int"}},
        "repeated",
    ),
    (max_gives_every_tie_all, {"x": (3, 4)}, "ties"),
    (maximum_gives_both_all, {"a": (3, 4), "b": (3, 4)}, "ties"),
    (matmul_forgets_a_transpose, {"a": (2, 3), "b": (3, 4)}, "square"),
    (batch_of_two_hard_coded, {"x": (2, 3)}, "batch"),
    (adds_without_reducing, {"a": (3, 4), "b": (3, 4)}, "broadcast"),
]


@pytest.mark.parametrize(("op", "inputs", "kind"), VARIANTS, ids=[r[0].__name__ for r in VARIANTS])
def test_fault_that_only_a_variant_shows(op, inputs, kind):
    assert check_op(op, inputs, variants=False).outcome == "passed"
    result = check_op(op, inputs)
    assert result.outcome == "failed"
    assert kind in str(result.findings[0].data["variant"])
    assert result.findings[0].code == "wrong_gradient"
    assert check_op(op, inputs, variants=[result.findings[0].data["variant"]]).outcome == "failed"


def test_the_layout_of_the_arrays_in_memory_matters_to_a_raw_buffer():
    result = check_op(reads_the_raw_buffer, {"x": (3, 4)})
    assert result.findings[0].code == "wrong_gradient"
    assert "layout" in result.findings[0].message


def test_a_failing_variant_is_printed_as_a_case_that_fails():
    import yaml

    result = check_op(max_gives_every_tie_all, {"x": (3, 4)})
    case = next(iter(yaml.safe_load(result.findings[0].data["case"]).values()))
    again = check_op(max_gives_every_tie_all, case["inputs"], variants=False)
    assert again.outcome == "failed"


def test_variants_can_be_named_skipped_and_added():
    op, inputs = max_gives_every_tie_all, {"x": (3, 4)}
    assert check_op(op, inputs, variants=["batch1", "large"]).outcome == "passed"
    assert check_op(op, inputs, skip_variants=["ties", "zeros"]).outcome == "passed"
    added = check_op(op, inputs, variants=False, extra=[{"x": {"values": [[1.0, 1.0]]}}])
    assert added.findings[0].data["variant"] == "extra0"
