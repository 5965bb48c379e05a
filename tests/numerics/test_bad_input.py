"""What cannot be checked is named: never a traceback, never a pass."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck.frameworks.tinytorch import TinyTorch
from tests.support.numerics import check_model, check_op
from tests.support.results import codes
from tinytorch import Op, Tensor, nn


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


def masked(x):
    """A softmax of rows that may be -inf as a whole."""
    top = np.max(x, axis=-1, keepdims=True)
    e = np.exp(x - np.where(np.isfinite(top), top, 0.0))
    total = e.sum(-1, keepdims=True)
    y = e / np.where(total == 0, 1.0, total)
    return y, lambda g: y * (g - (g * y).sum(-1, keepdims=True))


def with_gaps(factor):
    def sum_of_squares(x):
        return np.nansum(x * x), lambda g: factor * g * x

    return Op(sum_of_squares, "sum_of_squares")


GAPS = np.array([[1.0, np.nan, 2.0], [-0.5, 3.0, np.nan]])


@pytest.mark.parametrize("seed", range(3))
def test_entries_that_are_not_finite_as_given_are_left_out(seed):
    x = np.array([[0.3, -np.inf, 1.0], [-np.inf, -np.inf, -np.inf]])
    result = gradcheck.check_gradients(Op(masked, "masked"), x, seed=seed)
    assert codes(result) == []
    assert "4 entries of input0 not finite as given: not differentiated" in result.notes
    assert codes(gradcheck.check_gradients(with_gaps(2.0), GAPS, seed=seed)) == []
    wrong = gradcheck.check_gradients(with_gaps(2.02), GAPS, seed=seed)
    assert codes(wrong)[0] == "wrong_gradient"


def test_an_empty_tensor_beside_others_is_left_out():
    def both(factor):
        def joined(x, e):
            n = x.size
            return np.concatenate([x, e]) * 2.0, lambda g: (factor * g[:n], 2.0 * g[n:])

        return Op(joined, "joined")

    right = gradcheck.check_gradients(both(2.0), np.ones(3), np.ones(0))
    assert codes(right) == []
    assert "input1 of joined is empty (shape (0,)): it was not checked" in right.notes
    wrong = gradcheck.check_gradients(both(2.1), np.ones(3), np.ones(0))
    assert codes(wrong)[0] == "wrong_gradient"
