"""Ops with a wrong backward formula: the check names the op, the entry and the kind of error.

Only these tests need the ops that are defined here; the others are in the catalogue.
"""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck.plugins._faults import wrong_ops

from tests.support.numerics import check_op

X = {"x": (3, 4)}


def times_1_0000001(x):
    return np.sin(x), lambda g: g * np.cos(x) * (1 + 1e-7)


def clips_the_cotangent(x):
    return 3 * x, lambda g: 3 * np.clip(g, -5, 5)


def changes_its_input(x):
    y = x * x
    x += 1
    return y, lambda g: 2 * g * (x - 1)


def not_over_the_batch(x):
    return np.mean(x * x, axis=0), lambda g: 2 * x * g


def one_entry_off_by_1e_6(x):
    def pullback(g):
        out = g * np.cos(x)
        out[3, 2] *= 1 + 1e-6
        return out

    return np.sin(x), pullback


def zero_backward(x):
    return np.exp(x), lambda g: np.zeros_like(x)


def where_behind_the_root(x):
    positive = x > 0
    y = np.where(positive, np.sqrt(np.where(positive, x, 0.0)), 0.0)
    return y, lambda g: np.where(positive, g, 0.0) * 0.5 / np.sqrt(np.where(positive, x, 0.0))


ROWS = [
    (wrong_ops.tanh_sign, X, "wrong_gradient", "sign"),
    (wrong_ops.square_without_two, X, "wrong_gradient", "1/2"),
    (wrong_ops.sin_scaled, X, "wrong_gradient", "1.0001"),
    (times_1_0000001, X, "wrong_gradient", ""),
    (wrong_ops.layer_norm_eps_outside, {"x": (3, 5)}, "wrong_gradient", ""),
    (wrong_ops.layer_norm_unbiased, {"x": (3, 5)}, "wrong_gradient", ""),
    (wrong_ops.layer_norm_without_variance, {"x": (3, 5)}, "wrong_gradient", ""),
    (wrong_ops.gelu_mixed, X, "wrong_gradient", ""),
    (wrong_ops.cotangent_size, X, "not_linear", ""),
    (wrong_ops.relu_of_cotangent, X, "not_linear", ""),
    (clips_the_cotangent, X, "not_linear", ""),
    (wrong_ops.exp_changes_cotangent, X, "mutates", "cotangent"),
    (wrong_ops.second_call, X, "not_repeatable", "second time"),
    (changes_its_input, X, "mutates", ""),
    (wrong_ops.used_twice, X, "wrong_gradient", ""),
    (wrong_ops.softmax_wrong_axis, {"x": (4, 4)}, "wrong_gradient", ""),
    (not_over_the_batch, {"x": (4, 3)}, "wrong_gradient", "4"),
    (wrong_ops.one_entry, {"x": (32, 32)}, "wrong_gradient", "1 of 1024"),
    (one_entry_off_by_1e_6, {"x": (8, 8)}, "wrong_gradient", "1 of 64"),
    (zero_backward, X, "missing_gradient", "exactly zero"),
    (wrong_ops.norm_at_zero, X, "not_finite", "nan"),
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
    finding = check_op(wrong_ops.one_entry, {"x": (32, 32)}).findings[0]
    assert finding.index == (31, 31)
    assert finding.relative_error == pytest.approx(0.01, rel=0.02)
    finding = check_op(one_entry_off_by_1e_6, {"x": (8, 8)}).findings[0]
    assert finding.index == (3, 2)
    assert finding.relative_error == pytest.approx(1e-6, rel=0.01)


def test_the_entry_is_named_without_the_budget_to_look_at_each():
    finding = check_op(wrong_ops.one_entry, {"x": (32, 32)}, budget=1e3).findings[0]
    assert finding.index == (31, 31)
    assert finding.analytic == pytest.approx(1.01 * finding.numeric, rel=1e-6)


# --- what only a derived input shows ------------------------------------------------------------


def maximum_gives_both_all(a, b):
    return np.maximum(a, b), lambda g: (g * (a >= b), g * (b >= a))


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
        wrong_ops.embedding_assigns,
        {"weight": (6, 3), "ids": {"values": [0, 1, 2, 3], "dtype": "int"}},
        "repeated",
    ),
    (wrong_ops.max_to_every_tie, {"x": (3, 4)}, "ties"),
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
    result = check_op(wrong_ops.raw_buffer, {"x": (3, 4)})
    assert result.findings[0].code == "wrong_gradient"
    assert "layout" in result.findings[0].message


def test_a_failing_variant_is_printed_as_a_case_that_fails():
    import yaml

    result = check_op(wrong_ops.max_to_every_tie, {"x": (3, 4)})
    case = next(iter(yaml.safe_load(result.findings[0].data["case"]).values()))
    again = check_op(wrong_ops.max_to_every_tie, case["inputs"], variants=False)
    assert again.outcome == "failed"


def test_variants_can_be_named_skipped_and_added():
    op, inputs = wrong_ops.max_to_every_tie, {"x": (3, 4)}
    assert check_op(op, inputs, variants=["batch1", "large"]).outcome == "passed"
    assert check_op(op, inputs, skip_variants=["ties", "zeros"]).outcome == "passed"
    added = check_op(op, inputs, variants=False, extra=[{"x": {"values": [[1.0, 1.0]]}}])
    assert added.findings[0].data["variant"] == "extra0"
