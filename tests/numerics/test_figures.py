"""What a report draws of a wrong gradient."""

from __future__ import annotations

import numpy as np

from tests.numerics.support import check_op


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
