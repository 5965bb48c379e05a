"""What a report draws of a wrong gradient."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.numerics.end_to_end import blocks
from tests.support.numerics import check_model, check_op
from tinytorch import Tensor, nn


def one_wrong(x):
    def pullback(g):
        part = 3 * g * x * x
        part[..., 1, 2] *= 1.01
        return part

    return x**3, pullback


def test_the_heat_map_is_hot_at_the_wrong_entry_only():
    figures = check_op(one_wrong, {"x": [2, 4]}, variants=False).figures
    (drawn,) = figures["heatmap"].values()
    errors = np.array(drawn["relative_error"])
    assert drawn["shape"] == [2, 4]
    assert abs(errors[1, 2] - 0.01 / 1.01) < 1e-6
    errors[1, 2] = 0
    assert errors.max() < 1e-8


def test_the_error_of_a_wrong_entry_is_a_plateau_over_the_steps():
    curve = check_op(one_wrong, {"x": [2, 4]}, variants=False).figures["error_vs_step"]
    error, planted = curve["error"], 0.01 / 1.01
    assert abs(error[6] - planted) < 1e-5  # a step of 1e-4: neither truncation nor rounding
    assert abs(error[0] - planted) > 1e-4  # a step of 0.1: truncation


def test_a_right_op_draws_nothing():
    assert check_op("exp", {"x": [2, 4]}).figures == {}


class WrongRows(TinyTorch):
    """A gradient that is wrong outside every op, in rows 2 and 3 of a weight."""

    def grad(self, leaf):
        g = super().grad(leaf)
        if g is not None and g.shape == (8, 4):
            g = g.copy()
            g[2:4] *= 1.01
        return g


class WithoutTape(WrongRows):
    tape = None


def two_layers():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def squares(model, batch, loss):
    return (model(Tensor(np.random.default_rng(1).standard_normal((5, 4)))) ** 2).mean()


def test_a_fault_outside_every_op_is_drawn_where_it_is():
    result = check_model(two_layers, squares, framework=WrongRows)
    assert [f.parameter for f in result.findings] == ["0.weight"]
    ((name, drawn),) = result.figures["heatmap"].items()
    errors = np.array(drawn["relative_error"])
    assert (name, drawn["shape"], errors.shape) == ("0.weight", [8, 4], (8, 4))
    assert np.allclose(errors[2:4], 0.01 / 1.01, atol=1e-6)
    errors[2:4] = 0
    assert errors.max() < 1e-7


def test_without_a_tape_it_is_drawn_in_fewer_blocks():
    result = check_model(two_layers, squares, framework=WithoutTape)
    errors = np.array(result.figures["heatmap"]["0.weight"]["relative_error"])
    assert errors.shape == (4, 4)
    assert errors[1].min() > 1e-4
    assert np.delete(errors, 1, axis=0).max() < 1e-7


def test_a_right_model_is_drawn_nowhere():
    assert check_model(two_layers, squares).figures == {}


def test_an_op_too_large_for_every_entry_is_drawn_in_blocks():
    figures = check_op(one_wrong, {"x": [40, 40, 50]}, variants=False, budget=1e6).figures
    (drawn,) = figures["heatmap"].values()
    errors = np.array(drawn["relative_error"])
    assert drawn["blocks"]
    assert errors.size <= blocks.FEWEST
    assert errors[:, 0].min() > 1e-5  # [..., 1, 2] is wrong
    assert errors[:, 1:].max() < 1e-7
    assert len(figures["error_vs_step"]["h"]) > 10


@given(
    st.lists(st.integers(1, 9), max_size=4).map(tuple),
    st.integers(1, 300),
)
def test_every_entry_is_in_one_block_and_blocks_are_even(shape, most):
    block, down, across = blocks.grid(shape, most)
    assert block.size == int(np.prod(shape))
    assert down * across <= most
    assert set(block.reshape(-1)) == set(range(down * across))
    if down * across < most // 4:  # as many as there are entries, where there are few
        assert down * across == block.size
