"""`gradcheck.check_gradients`: the same engine in a notebook."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))


def test_a_function_of_arrays():
    result = gradcheck.check_gradients(lambda x, w: (x @ w).tanh(), X, w := Tensor(W))
    assert result.outcome == "passed"
    assert result.measurements["leaves"] == 2
    assert np.array_equal(w.data, W)


def test_a_model_is_copied():
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    before = {n: p.data.copy() for n, p in model.named_parameters()}
    labels = Tensor(np.array([0, 1, 1, 0]))
    result = gradcheck.check_gradients(model, X, loss=lambda y: F.cross_entropy(y, labels))
    assert result.outcome == "passed", result.findings
    assert result.measurements["leaf_entries"] == 32
    for name, parameter in model.named_parameters():
        assert parameter.data.dtype == np.float32
        assert np.array_equal(parameter.data, before[name])


def test_a_model_without_a_loss_is_contracted_with_random_weights():
    assert gradcheck.check_gradients(nn.Linear(3, 2), X).outcome == "passed"


def test_the_line_of_the_call_is_named():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(x) * Tensor(self.layer(x).data)

    result = gradcheck.check_gradients(Detached(), X)
    assert result.findings[0].code == "wrong_gradient"
    assert result.findings[0].parameter in {"layer.weight", "layer.bias"}


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="tolerance"):
        gradcheck.check_gradients(lambda x: x * 2, X, tolerance=1e-3)


def test_errors_of_the_function_are_its_own():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        gradcheck.check_gradients(broken, X)


def test_torch_functions_and_modules():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    assert gradcheck.check_gradients(lambda t: torch.sin(t) * t, x).outcome == "passed"
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 1))
    result = gradcheck.check_gradients(model, x, loss=lambda y: y.square().mean())
    assert result.outcome == "passed", result.findings
    assert result.measurements["leaf_entries"] == 21
