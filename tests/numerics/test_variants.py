"""Inputs that an op refuses: of its own accord where they are derived, a finding where declared."""

from __future__ import annotations

import numpy as np

from tests.support.numerics import check_op


def only_three_columns(x):
    if x.shape[-1] != 3:
        raise TypeError("it takes three columns")
    return np.sin(x), lambda g: g * np.cos(x)


def log(x):
    return np.log(x), lambda g: g / x


def weight_per_row(x, w):
    """Rows of x times the entries of w: not how numpy broadcasts."""

    def pullback(g):
        if w.shape != x.shape[:1]:
            raise ValueError("one weight for each row")
        return g * w[:, None], (g * x).sum(-1)

    return w[:, None] * x, pullback


def only_rows_backward(x):
    def pullback(g):
        if len(g) != 4:
            raise ValueError("four rows")
        return g * np.cos(x)

    return np.sin(x), pullback


def test_extra_inputs_that_the_op_refuses_are_a_finding():
    result = check_op(only_three_columns, {"x": (4, 3)}, extra=[{"x": (2, 3)}, {"x": (2, 5)}])
    (finding,) = result.findings
    assert (finding.code, finding.op) == ("extra_refused", "only_three_columns")
    assert finding.message == (
        "only_three_columns refuses the inputs extra1 (x [2, 5]): "
        "only_three_columns raised TypeError: it takes three columns"
    )
    assert finding.advice is not None


def test_extra_inputs_without_a_finite_value_are_a_finding():
    extra = [{"x": {"values": [-1.0, 2.0]}}]
    (finding,) = check_op(log, {"x": {"shape": (4, 3), "low": 1.0}}, extra=extra).findings
    assert finding.code == "extra_refused"
    assert finding.message.endswith("(x [2]): its value is not finite")


def test_extra_inputs_that_the_backward_refuses_are_a_finding():
    result = check_op(only_rows_backward, {"x": (4, 3)}, variants=False, extra=[{"x": (2, 3)}])
    (finding,) = result.findings
    assert finding.code == "crashed"
    assert "four rows (variant: extra0)" in finding.message


def test_derived_inputs_that_only_the_backward_refuses_are_told_in_a_note():
    result = check_op(only_rows_backward, {"x": (4, 3)}, variants=["batch1", "batch3", "layout"])
    assert result.outcome == "passed"
    assert result.measurements["variants_dropped"] > 1
    (first, second) = result.notes
    assert first.startswith("variant batch1 was dropped: the forward accepts it, and the backward ")
    assert "four rows" in first
    assert second.startswith("variant batch3 was dropped: ")


def test_an_op_with_broadcasting_of_its_own_is_not_taken_for_an_elementwise_one():
    result = check_op(weight_per_row, {"x": (3, 4), "w": (3,)})
    assert result.outcome == "passed"
    assert any(n.startswith("variant broadcast was dropped") for n in result.notes)
