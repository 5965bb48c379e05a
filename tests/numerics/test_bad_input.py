"""What cannot be checked is named: never a traceback, never a pass."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.frameworks.tinytorch import TinyTorch
from tests.support.numerics import check_model, check_op
from tests.support.results import codes
from tinytorch import Tensor, nn


def x():
    return Tensor(np.random.default_rng(0).standard_normal((3, 4)))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, value):
        return self.layer(value)


def test_a_loss_that_is_no_scalar():
    result = check_model(Layer, lambda model, batch, loss: model(x()))
    assert codes(result) == ["not_scalar"]
    assert "(3, 4)" in result.findings[0].message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_forward_that_is_not_finite(value):
    result = check_model(Layer, lambda model, batch, loss: (model(x()) * value).sum())
    assert codes(result) == ["not_finite"]


def test_a_gradient_that_is_not_finite_names_the_op():
    def step(model, batch, loss):
        return (((model(x()) * 0.0) ** 2).sum()).sqrt() + model(x()).sum()

    result = check_model(Layer, step)
    assert codes(result) == ["not_finite"]
    assert result.findings[0].op == "sqrt"
    assert result.findings[0].where is not None
    assert "test_bad_input.py" in result.findings[0].where


def test_a_parameter_that_is_not_finite():
    class Poisoned(Layer):
        def __init__(self):
            super().__init__()
            self.layer.weight.data[1, 2] = np.nan

    result = check_model(Poisoned, lambda model, batch, loss: model(x()).sum())
    assert codes(result) == ["not_finite"]
    assert (result.findings[0].parameter, result.findings[0].index) == ("layer.weight", (1, 2))


def test_a_forward_that_is_random():
    rng = np.random.default_rng()

    def step(model, batch, loss):
        return (model(x()) * float(rng.standard_normal())).sum()

    assert codes(check_model(Layer, step)) == ["not_deterministic"]


def test_a_forward_that_keeps_state():
    calls = []

    def step(model, batch, loss):
        calls.append(1)
        return (model(x()) * float(len(calls))).sum()

    assert codes(check_model(Layer, step)) == ["not_deterministic"]


def test_a_forward_that_changes_its_parameters():
    def step(model, batch, loss):
        out = model(x()).sum()
        model.layer.bias.data = model.layer.bias.data + 1e-3
        return out

    result = check_model(Layer, step)
    assert codes(result) == ["mutates"]
    assert result.findings[0].parameter == "layer.bias"


def test_a_backward_that_changes_its_parameters():
    class Steps(TinyTorch):
        def backward(self, output, cotangent):
            super().backward(output, cotangent)
            for leaf in self.seen:
                leaf.data = leaf.data * 0.999

        def named_parameters(self, model):
            found = super().named_parameters(model)
            self.seen = list(found.values())
            return found

    result = check_model(Layer, lambda model, batch, loss: model(x()).sum(), framework=Steps)
    assert codes(result) == ["mutates"]


def test_an_integer_parameter():
    class Loose(TinyTorch):
        def named_parameters(self, model):
            return {**super().named_parameters(model), "table": Tensor(np.arange(3))}

    result = check_model(Layer, lambda model, batch, loss: model(x()).sum(), framework=Loose)
    assert codes(result) == ["integer_parameter"]
    assert result.findings[0].parameter == "table"


def test_a_gradient_of_another_shape():
    class Flat(TinyTorch):
        def grad(self, leaf):
            g = super().grad(leaf)
            return None if g is None else g.reshape(-1)

    result = check_model(Layer, lambda model, batch, loss: model(x()).sum(), framework=Flat)
    assert codes(result) == ["bad_shape"]


def test_a_result_without_a_floating_dtype():
    def rounded(value):
        return np.round(value).astype(np.int64), lambda g: g

    assert check_op(rounded, {"value": (3,)}).outcome == "failed"
