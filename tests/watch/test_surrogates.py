"""Backwards that are meant to be no gradient are told from wrong ones by their forward."""

import numpy as np
import pytest

import tinytorch
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.watch.surrogates import surrogate
from tinytorch.operation import Op

X = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
STEPS = "its forward is a step function"
MEANT = {
    "straight_through": (
        lambda x: (np.round(3 * x), lambda g: g),
        STEPS,
    ),
    "spike": (
        lambda x: (1.0 * (x > 0), lambda g: g / (1 + x * x)),
        STEPS,
    ),
    "reverse": (lambda x: (x * 1.0, lambda g: -g), "its forward changes nothing"),
}
WRONG = {
    "square": lambda x: (x * x, lambda g: g * x),
    "relu": lambda x: (np.maximum(x, 0), lambda g: g),
    "scaled": lambda x: (2 * x, lambda g: g),
    "negated": lambda x: (-x, lambda g: g),
}


def call_of(fn):
    result = Op(fn, "mine")(tinytorch.Tensor(X, requires_grad=True))
    (call,) = TinyTorch().tape(result, {})
    return call


@pytest.mark.parametrize("name", MEANT)
def test_a_surrogate_is_recognised(name):
    fn, why = MEANT[name]
    assert surrogate(call_of(fn)) == why


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_backward_is_none(name):
    assert surrogate(call_of(WRONG[name])) is None


def test_ops_of_the_framework_are_always_checked():
    result = tinytorch.Tensor(X, requires_grad=True).reshape(5, 7)
    (call,) = TinyTorch().tape(result, {})
    assert surrogate(call) is None
