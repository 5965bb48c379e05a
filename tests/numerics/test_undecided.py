"""What could not be decided stands in the verdict: no green that saw nothing."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tests.numerics.test_end_to_end import Residual, WithoutTape, step
from tests.support.numerics import check_model, check_op
from tests.support.results import codes
from tinytorch import Op

X = np.random.default_rng(0).standard_normal((3, 4))


def coarse(share):
    """Rounds to `share` of each number, as a dtype of few digits does."""

    def rounds(x):
        unit = share * np.exp2(np.floor(np.log2(np.abs(x) + 1e-300)))
        return np.round(x / unit) * unit, lambda g: g

    return Op(rounds, "rounds")


@pytest.mark.parametrize("seed", range(3))
def test_an_op_that_rounds_too_coarsely_is_undecided(seed):
    found = gradcheck.check_gradients(coarse(2.0**-6), X, seed=seed)
    assert codes(found) == ["undecided"]
    assert found.findings[0].message.startswith("1 of 1 tensors could not be checked (input0): ")
    assert found.findings[0].data["tensors"]["input0"] > 1e-2


def test_one_that_rounds_finely_is_seen():
    assert codes(gradcheck.check_gradients(coarse(2.0**-12), X)) == []


def test_what_need_not_be_seen_can_be_declared():
    allowed = gradcheck.check_gradients(coarse(2.0**-6), X, undecided=1.0)
    assert allowed.outcome == "passed"
    assert any("relative errors up to" in note for note in allowed.notes)


@pytest.mark.parametrize(("share", "outcome"), [(0.0, "failed"), (0.5, "failed"), (1.0, "passed")])
def test_the_share_of_the_tensors_of_a_model(share, outcome):
    class Coarse(Residual):
        def forward(self, x):
            return coarse(2.0**-6)(super().forward(x))

    result = check_model(Coarse, step, framework=WithoutTape, undecided=share)
    assert result.outcome == outcome
    assert codes(result) == (["undecided"] if outcome == "failed" else [])


def test_a_wrong_gradient_is_worse_than_an_undecided_one():
    def off(x):
        return coarse(2.0**-6).fn(x)[0], lambda g: 3.0 * g

    assert codes(gradcheck.check_gradients(Op(off, "off"), X))[0] == "wrong_gradient"


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [1.0, 1.0, -1.0], [-3.0, -1.0, -2.0]])
@pytest.mark.parametrize("name", ["relu", "abs", "max", "softmax"])
def test_kinks_ties_and_zero_gradients_are_decided(name, values):
    args = {"dim": -1} if name == "softmax" else {}
    assert codes(check_op(name, {"x": {"values": values}}, args, variants=False)) == []


def test_a_gradient_of_zeros_is_decided():
    flat = Op(lambda x: (np.ones(x.shape), lambda g: 0.0 * g), "flat")
    assert codes(gradcheck.check_gradients(flat, X)) == []
