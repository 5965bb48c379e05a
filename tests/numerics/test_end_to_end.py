"""Faults that no op shows: accumulation, tied weights, branches outside the graph; frameworks
without a tape."""

from __future__ import annotations

import numpy as np
import pytest

import tinytorch
from gradcheck.frameworks.tinytorch import TinyTorch
from tests.support.numerics import check_model
from tests.support.results import codes
from tinytorch import Tensor, nn
from tinytorch.autograd import pull_back, topological


class Broken(TinyTorch):
    """A backward that overwrites where it should add."""

    leaves_only = False

    def backward(self, output, cotangent):
        seed = np.ones(output.shape) if cotangent is None else cotangent
        held = {id(output): seed}
        for tensor in reversed(topological(output)):
            g = held.pop(id(tensor), None)
            if g is None:
                continue
            if tensor.node is None:
                tensor.grad = g
                continue
            for source, part in zip(tensor.node.inputs, pull_back(tensor.node, g)):
                if part is None:
                    continue
                keep = id(source) in held and (self.leaves_only and source.node is not None)
                held[id(source)] = held[id(source)] + part if keep else part


class TiedOnce(Broken):
    """Adds at intermediate tensors, overwrites at leaves: a tied weight is counted once."""

    leaves_only = True


class WithoutTape(TinyTorch):
    """Every other capability, but no op calls: what most frameworks can offer."""

    tape = None
    named = True


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.outer = nn.Linear(4, 4)

    def forward(self, x):
        h = x + self.inner(x).tanh()
        return self.outer(h + self.inner(h).tanh())


class Detached(Residual):
    def forward(self, x):
        h = x + Tensor(self.inner(x).tanh().data)
        return self.outer(h + self.inner(h).tanh())


def step(model, batch, loss):
    x = Tensor(np.random.default_rng(1).standard_normal((5, 4)))
    return (model(x) ** 2).mean()


def test_a_right_model_passes_with_and_without_a_tape():
    for framework in (TinyTorch, WithoutTape):
        result = check_model(Residual, step, framework=framework)
        assert result.outcome == "passed", result.findings
        assert result.measurements["leaf_entries"] == 40


@pytest.mark.parametrize("framework", [Broken, TiedOnce])
def test_overwriting_instead_of_adding(framework):
    result = check_model(Residual, step, framework=framework)
    finding = result.findings[0]
    assert finding.code == "wrong_gradient"
    assert finding.parameter is not None
    assert finding.parameter.startswith("inner.")
    assert finding.op is None
    assert "accumulation" in " ".join(finding.lines)
    assert all(f.parameter != "outer.weight" for f in result.findings)


def test_a_detached_branch():
    result = check_model(Detached, step)
    assert "wrong_gradient" in codes(result)
    assert {f.parameter for f in result.findings} == {"inner.weight", "inner.bias"}


def test_a_dropped_gradient_is_missing():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 1)

        def forward(self, x):
            return self.second(Tensor(self.first(x).data))

    result = check_model(Cut, step)
    assert codes(result) == ["missing_gradient", "missing_gradient"]
    assert {f.parameter for f in result.findings} == {"first.weight", "first.bias"}


def test_one_entry_without_a_tape_is_found_by_halving():
    class OneEntry(WithoutTape):
        def grad(self, leaf):
            g = super().grad(leaf)
            if g is not None and g.shape == (4, 4):
                g[2, 3] *= 1.001
            return g

    result = check_model(Residual, step, framework=OneEntry)
    assert {(f.parameter, f.index) for f in result.findings} == {
        ("inner.weight", (2, 3)),
        ("outer.weight", (2, 3)),
    }
    assert result.findings[0].relative_error == pytest.approx(1e-3, rel=0.02)


def test_a_constant_factor_is_diagnosed_without_a_tape():
    class Doubled(WithoutTape):
        def grad(self, leaf):
            g = super().grad(leaf)
            return g if g is None else 2 * g

    result = check_model(Residual, step, framework=Doubled)
    assert "factor of 2" in " ".join(result.findings[0].lines)


def test_a_backward_that_looks_at_its_cotangent():
    class Rectified(WithoutTape):
        def backward(self, output, cotangent):
            super().backward(output, None if cotangent is None else np.abs(cotangent))

    assert "not_linear" in codes(check_model(Residual, step, framework=Rectified))


class Single(WithoutTape):
    """Computes in float32 whatever is asked."""

    from gradcheck.frameworks.protocol import Precision

    precision = Precision("float32", "float32")


def test_float32_passes_and_says_so():
    for seed in range(5):
        result = check_model(Residual, step32, framework=Single, seed=seed)
        assert result.outcome == "passed", result.findings
        assert any("float32" in n for n in result.notes)


def step32(model, batch, loss):
    x = Tensor(np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32))
    return (model(x) ** 2).mean()


def test_float32_sees_an_error_of_one_percent():
    class Wrong(Single):
        def grad(self, leaf):
            g = super().grad(leaf)
            return None if g is None else 1.01 * g

    assert codes(check_model(Residual, step32, framework=Wrong))[0] == "wrong_gradient"


@pytest.mark.parametrize(
    "options", [{"exhaustive": True}, {"exhaustive": True, "method": "complex"}]
)
def test_exhaustive_names_the_entry(options):
    class OneEntry(TinyTorch):
        def grad(self, leaf):
            g = super().grad(leaf)
            if g is not None and g.shape == (4, 4):
                g[1, 0] += 1e-6
            return g

    good = check_model(Residual, step, **options)
    assert good.outcome == "passed", good.findings
    assert good.measurements["exhaustive"]
    result = check_model(Residual, step, framework=OneEntry, **options)
    assert result.findings[0].index == (1, 0)


def test_complex_steps_reach_rounding():
    result = check_model(Residual, step, method="complex", exhaustive=True)
    assert result.measurements["complex_step_error"] < 1e-12


def test_complex_steps_that_cannot_work_fall_back_and_say_so():
    class Kinked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x).abs()

    result = check_model(Kinked, step, method="complex")
    assert result.outcome == "passed"
    assert any("no complex steps" in n for n in result.notes)


def test_a_frozen_parameter_is_left_alone():
    class Frozen(Residual):
        def __init__(self):
            super().__init__()
            self.inner.weight.requires_grad_(False)

    result = check_model(Frozen, step)
    assert result.outcome == "passed"
    assert any("frozen" in n for n in result.notes)
    assert tinytorch.__name__ == "tinytorch"


def test_every_tensor_has_a_row_in_the_order_of_the_model() -> None:
    rows = check_model(Residual, step).measurements["tensors"]
    assert [r["tensor"] for r in rows] == [
        "inner.weight",
        "inner.bias",
        "outer.weight",
        "outer.bias",
    ]
    for row in rows:
        assert row["verdict"] == "right"
        assert row["analytic_slope"] == pytest.approx(row["numeric_slope"], rel=1e-6)
        assert row["relative_error"] < 1e-8
        assert 0 < row["smallest_error_seen"] < 1e-5


def test_the_rows_of_wrong_tensors_say_so() -> None:
    rows = check_model(Residual, step, framework=TiedOnce).measurements["tensors"]
    wrong = {r["tensor"]: r for r in rows if r["verdict"] == "wrong"}
    assert set(wrong) == {"inner.weight", "inner.bias"}
    assert all(r["relative_error"] > 1e-3 for r in wrong.values())
