"""What a check concludes from everything that it saw at one point."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.frameworks.protocol import Precision
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.numerics.core.verdict import RIGHT
from gradcheck.numerics.examine import Look
from tests.numerics.test_end_to_end import Broken, Residual, WithoutTape, step
from tests.support.numerics import check_model, check_op
from tinytorch import Op


def off_by_a_bit(x):
    return np.tanh(x), lambda g: g * (1 - np.tanh(x) ** 2) * 1.001


def drops_the_last_row(x):
    def pullback(g):
        g = g * 2.0
        g[-1] = 0.0
        return g

    return x * 2.0, pullback


class TwoWrongOps(Residual):
    def forward(self, x):
        off, drop = Op(off_by_a_bit, "off_by_a_bit"), Op(drops_the_last_row, "drops_the_last_row")
        return drop(off(self.outer(off(off(x + off(off(self.inner(x))))))))


@pytest.mark.parametrize("options", [{}, {"exhaustive": True}], ids=str)
def test_wrong_ops_silence_the_leaves(options):
    result = check_model(TwoWrongOps, step, **options)
    assert [f.op for f in result.findings] == ["drops_the_last_row", "off_by_a_bit"]
    assert "the same in 4 other calls of off_by_a_bit" in result.findings[1].lines
    assert any("end to end it corrupts" in line for line in result.findings[0].lines)
    assert "error_vs_step" in result.figures


class OneEntry(WithoutTape):
    """One entry of each large gradient is wrong by little."""

    def grad(self, leaf):
        g = super().grad(leaf)
        if g is not None and g.shape == (4, 4):
            g[2, 3] *= 1 + 1e-5
        return g


def test_an_entry_that_directions_miss_is_found_entry_by_entry(monkeypatch):
    along = Look.along

    def blind(*args, **kwargs):
        found = along(*args, **kwargs)
        found.faults.clear()
        found.wrong.clear()
        found.outcome.state[:] = RIGHT
        return found

    monkeypatch.setattr(Look, "along", blind)
    assert check_model(Residual, step, framework=OneEntry).outcome == "passed"
    result = check_model(Residual, step, framework=OneEntry, exhaustive=True)
    assert {(f.parameter, f.index) for f in result.findings} == {
        ("inner.weight", (2, 3)),
        ("outer.weight", (2, 3)),
    }
    assert set(result.figures["heatmap"]) == {
        "inner.weight", "inner.bias", "outer.weight", "outer.bias"
    }  # fmt: skip


@pytest.mark.parametrize("exhaustive", [True, False])
@pytest.mark.parametrize("framework", [TinyTorch, Broken])
def test_complex_steps(framework, exhaustive):
    result = check_model(
        Residual, step, framework=framework, method="complex", exhaustive=exhaustive
    )
    assert result.outcome == ("failed" if framework is Broken else "passed")
    assert result.measurements["complex_step_error"] >= 0.0
    assert result.measurements["exhaustive"] == exhaustive


class NotAnalytic(Residual):
    def forward(self, x):
        return self.outer(self.inner(x).abs())


def test_complex_steps_that_do_not_pass_are_a_note():
    result = check_model(NotAnalytic, step, method="complex", exhaustive=True)
    assert any("no complex steps" in note for note in result.notes)
    assert not result.measurements["exhaustive"]


def test_complex_steps_need_a_tape():
    result = check_model(Residual, step, framework=WithoutTape, method="complex")
    assert any("need a tape" in note for note in result.notes)
    assert "complex_step_error" not in result.measurements


def test_a_framework_without_second_derivatives_is_a_note():
    result = check_model(Residual, step, order=2)
    assert any("first derivatives" in note for note in result.notes)


class Single(TinyTorch):
    """Computes in float32."""

    precision = Precision("float32", "float32")


def test_what_float32_cannot_show_is_a_note():
    result = check_model(Residual, step, framework=Single)
    assert any("cannot be seen" in note for note in result.notes)


def wrong_for_one_row(x):
    return x * 3.0, lambda g: g * (2.0 if x.shape[:1] == (1,) else 3.0)


def wrong_elsewhere(x):
    return x * 3.0, lambda g: g * (3.0 if x.shape == (2, 3) else x.size)


def wrong_for_large(x):
    return x * 3.0, lambda g: g * (2.0 if np.abs(x).max(initial=0) > 10 else 3.0)


@pytest.mark.parametrize("function", [wrong_for_one_row, wrong_elsewhere, wrong_for_large])
def test_an_op_that_is_wrong_at_derived_inputs_only(function):
    result = check_op(function, {"x": (2, 3)})
    assert "variant" in result.findings[0].message
    assert len(result.findings) <= 3


def test_derived_inputs_are_not_tried_after_the_third_finding():
    tried = check_op(wrong_elsewhere, {"x": (2, 3)}).measurements["variants"]
    assert tried < check_op("tanh", {"x": (2, 3)}).measurements["variants"]


def test_an_op_that_is_wrong_as_declared_is_not_tried_elsewhere():
    result = check_op(off_by_a_bit, {"x": (3, 4)})
    assert "variants" not in result.measurements
    assert result.findings[0].where is not None
