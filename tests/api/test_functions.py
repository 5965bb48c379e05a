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


ARGUMENTS = {
    "a class": ((nn.Linear, X), {}, "Linear is a class"),
    "no function": ((3, X), {}, "must be a function or a model, not an int"),
    "a name of a loss": ((nn.Linear(3, 2), X), {"loss": "mse"}, "loss must be a function"),
    "a text": ((lambda x: x, "abc"), {}, "input 0 is a str"),
    "nothing": ((lambda x: x, None), {}, "input 0 is None"),
    "a ragged list": ((lambda x: x, [[1.0], [2.0, 3.0]]), {}, "input 0 is a list"),
    "complex numbers": ((lambda x: x, X * 1j), {}, "not an array of real numbers"),
    "whole numbers only": ((lambda x: x.sum(), np.arange(3)), {}, "Pass 1.0 instead of 1"),
    "no input at all": ((lambda: Tensor(1.0),), {}, "no inputs and no parameters"),
    "no tensor returned": (
        (lambda x: (1, "a"), X),
        {},
        "a tuple; it must return one tensor",
    ),
    "nothing returned": ((lambda x: None, X), {}, "returns None"),
    "a misspelt option": ((lambda x: x, X), {"exhaustiv": True}, "did you mean 'exhaustive'"),
    "a misspelt framework": ((lambda x: x, X), {"framework": "pytroch"}, "did you mean 'pytorch'"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_that_makes_no_sense_gets_a_sentence(name):
    given, options, text = ARGUMENTS[name]
    with pytest.raises((TypeError, ValueError, LookupError)) as raised:
        gradcheck.check_gradients(*given, **options)
    assert text in str(raised.value)


def test_a_graph_that_is_cut_is_a_finding():
    result = gradcheck.check_gradients(lambda x: Tensor(np.tanh(x.data)), X)
    assert [f.code for f in result.findings] == ["backward_failed"]
    assert "without a graph" in result.findings[0].message


def test_nothing_to_check_is_no_pass():
    result = gradcheck.check_gradients(lambda x: x * 2, np.zeros((0, 3)))
    assert result.outcome == "skipped"
    assert "input0 of function is empty" in result.reason


BAD_IN_TORCH = {
    "int": "integer_parameter",
    "mutates": "mutates",
    "nan": "not_finite",
    "nan behind": "not_finite",
    "random": "not_deterministic",
    "state": "not_deterministic",
    "cut": "backward_failed",
    "matrix": "not_scalar",
}


@pytest.mark.parametrize("kind", BAD_IN_TORCH)
def test_bad_input_is_named_in_torch_too(kind):
    torch = pytest.importorskip("torch")

    class Bad(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)
            self.calls = 0
            if kind == "int":
                self.table = torch.nn.Parameter(torch.arange(2), requires_grad=False)

        def forward(self, x):
            self.calls += 1
            if kind == "mutates":
                with torch.no_grad():
                    self.layer.weight.mul_(0.9)
            y = self.layer(x)
            if kind == "nan":
                y = (-y.square()).log()
            elif kind == "nan behind":
                y = (y * 0).abs().sqrt()
            elif kind == "random":
                y = y * np.random.default_rng().random()
            elif kind == "state":
                y = y * self.calls
            elif kind == "cut":
                y = y.detach()
            return y if kind == "matrix" else y.sum()

    result = gradcheck.check_gradients(Bad(), torch.tensor(X), loss=lambda y: y)
    assert [f.code for f in result.findings] == [BAD_IN_TORCH[kind]]


def test_torch_functions_and_modules():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    assert gradcheck.check_gradients(lambda t: torch.sin(t) * t, x).outcome == "passed"
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 1))
    result = gradcheck.check_gradients(model, x, loss=lambda y: y.square().mean())
    assert result.outcome == "passed", result.findings
    assert result.measurements["leaf_entries"] == 21


@pytest.mark.parametrize(
    "options",
    [{"extra": [{"x": [2, 3]}]}, {"variants": True}, {"skip_variants": ["zeros"]}],
    ids=lambda o: next(iter(o)),
)
def test_options_of_op_cases_are_refused_not_ignored(options):
    with pytest.raises(ValueError, match=f"option {next(iter(options))} is for ops of case files"):
        gradcheck.check_gradients(lambda x: x.tanh(), X, **options)
