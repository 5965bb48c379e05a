"""Functions that round inside: right ones are not accused, and wrong ones are seen."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck.numerics.core.resolution import fitted, in_steps
from tests.numerics.test_end_to_end import Residual, WithoutTape, step
from tests.support.numerics import check_model
from tests.support.results import codes
from tinytorch import Op


class Elementwise:
    """The entries of x under one function, as lines."""

    evaluations = 0

    def __init__(self, function, x):
        self.function, self.x, self.size = function, x, x.size

    def noise(self):
        return np.full(self.size, 2e-16 * np.abs(self.function(self.x)).max())

    def __call__(self, offsets, h, active):
        base = self.function(self.x)
        return np.array([(self.function(self.x + k * h) - base)[active] for k in offsets])


def narrow(dtype):
    return lambda x: x.astype(dtype).astype(np.float64)


X = np.random.default_rng(0).standard_normal(12)
STAIRS = {
    "float32": (lambda x: narrow("float32")(x) ** 2, X),
    "float16": (lambda x: narrow("float16")(np.tanh(x)), X),
    "one part float16": (lambda x: x + narrow("float16")(np.tanh(x)), X),
    "whole numbers": (np.round, 100 * X),
    "noise": (lambda x: x * (1 + 1e-3 * np.sin(1e12 * x)), X),
}
SMOOTH = {
    "smooth": (np.tanh, X),
    "a short wave": (np.sin, 1e5 * X),
    "a very short wave": (np.sin, 1e9 * X),
    "a small wave on a line": (lambda x: x + 1e-3 * np.sin(1e3 * x), X),
    "a kink": (np.abs, 1e-3 * X),
}


def answers_in_steps(function, x):
    lines, every = Elementwise(function, x), np.arange(x.size)
    h0 = np.exp2(np.round(np.log2(np.maximum(np.abs(x), np.sqrt(np.mean(x * x))))))
    found = fitted(lines, np.ones(x.size), h0, np.ones(x.size), every)
    return found.rough & in_steps(lines, h0, every, found.noise)


@pytest.mark.parametrize("name", STAIRS)
def test_stairs_and_noise_are_rough(name):
    assert answers_in_steps(*STAIRS[name]).all()


@pytest.mark.parametrize("name", SMOOTH)
def test_waves_and_kinks_are_not(name):
    assert not answers_in_steps(*SMOOTH[name]).any()


def through(dtype, factor=1.0):
    def rounds(x):
        return x.astype(dtype).astype(np.float64) * 2.0, lambda g: factor * 2.0 * g

    return Op(rounds, "rounds")


@pytest.mark.parametrize("seed", range(3))
def test_a_leaf_behind_float32_is_seen(seed):
    def model(op):
        class InSingle(Residual):
            def forward(self, x):
                return op(super().forward(x))

        return InSingle

    right = check_model(model(through("float32")), step, framework=WithoutTape, seed=seed)
    assert codes(right) == []
    assert not any("undecided" in note for note in right.notes)
    wrong = check_model(model(through("float32", 1.01)), step, framework=WithoutTape, seed=seed)
    assert codes(wrong)[0] == "wrong_gradient"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_op_that_rounds_inside(dtype, seed):
    x = np.random.default_rng(seed).standard_normal((3, 4))
    assert codes(gradcheck.check_gradients(through(dtype), x, seed=seed)) == []
    wrong = gradcheck.check_gradients(through(dtype, 1.5), x, seed=seed)
    assert codes(wrong)[0] == "wrong_gradient"


@pytest.mark.parametrize("seed", range(3))
def test_a_part_of_the_gradient_cut_off_behind_float16(seed):
    """Between two steps the rounded part stands still, and the slope is that of the other one."""

    def half_of_it(x):
        return x + x.astype(np.float16).astype(np.float64), lambda g: g

    x = np.random.default_rng(seed).standard_normal((3, 4))
    found = gradcheck.check_gradients(Op(half_of_it, "half_of_it"), x, seed=seed)
    assert codes(found)[0] == "wrong_gradient"


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_gradient_under_noise(seed):
    def noisy(factor):
        def shaken(x):
            return x * (1 + 1e-3 * np.sin(1e12 * x)), lambda g: factor * g

        return Op(shaken, "shaken")

    x = np.random.default_rng(seed).standard_normal((3, 4))
    assert codes(gradcheck.check_gradients(noisy(1.5), x, seed=seed))[0] == "wrong_gradient"
    assert "wrong_gradient" not in codes(gradcheck.check_gradients(noisy(1.0), x, seed=seed))
