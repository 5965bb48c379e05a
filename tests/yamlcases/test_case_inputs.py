"""The arrays of declared inputs."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.yamlcases.case import InputSpec
from gradcheck.yamlcases.inputs import draw, draw_inputs, problem


def array(**keys: object) -> np.ndarray:
    spec = InputSpec.model_validate(keys)
    assert problem(spec) is None
    return draw(spec, np.random.default_rng(0))


def test_floats_are_normal_with_the_scale() -> None:
    drawn = array(shape=[200, 100], scale=3.0)
    assert drawn.dtype == np.float64
    assert abs(drawn.mean()) < 0.1
    assert abs(drawn.std() - 3) < 0.1
    assert array(shape=[]).shape == ()


@pytest.mark.parametrize(
    ("keys", "low", "high"),
    [
        ({"low": 2.0, "high": 5.0}, 2, 5),
        ({"low": -3.0}, -3, -2),
        ({"high": 4.0}, 0, 4),
        ({"high": -4.0}, -5, -4),
    ],
)
def test_uniform_floats_fill_their_range(keys: dict[str, float], low: float, high: float) -> None:
    drawn = array(shape=[5000], **keys)
    assert low <= drawn.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < drawn.max() < high


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ({}, {0, 1}),
        ({"high": 4}, {0, 1, 2, 3}),
        ({"low": 3}, {3, 4}),
        ({"low": -2, "high": 1}, {-2, -1, 0}),
    ],
)
def test_integers(keys: dict[str, int], values: set[int]) -> None:
    drawn = array(shape=[500], dtype="int", **keys)
    assert drawn.dtype == np.int64
    assert set(drawn.tolist()) == values


def test_booleans_and_given_values() -> None:
    drawn = array(shape=[200], dtype="bool")
    assert drawn.dtype == np.bool_
    assert 60 < drawn.sum() < 140
    assert array(values=[[1, 2.5], [3, 4]]).tolist() == [[1.0, 2.5], [3.0, 4.0]]
    assert array(values=[2, 0], dtype="int").dtype == np.int64
    assert array(values=[True, False], dtype="bool").tolist() == [True, False]
    assert array(values=3).shape == ()


def test_the_same_seed_draws_the_same() -> None:
    specs = {"x": InputSpec(shape=(3,)), "i": InputSpec(shape=(3,), dtype="int", high=9)}
    first, second = (draw_inputs(specs, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(first[n], second[n]) for n in specs)


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({}, ""),
        ({"shape": [2], "low": 1, "high": 0}, "high"),
        ({"shape": [2], "dtype": "int", "low": 0.5}, "low"),
        ({"shape": [2], "dtype": "int", "low": 3, "high": 3}, "high"),
        ({"shape": [2], "dtype": "bool", "low": 0}, "low"),
        ({"shape": [5000, 5000]}, "shape"),
        ({"values": [1, 2], "shape": [2]}, "shape"),
        ({"values": [[1], [2, 3]]}, "values"),
        ({"values": ["a"]}, "values"),
        ({"values": [True, 1]}, "values"),
        ({"values": [True]}, "values"),
        ({"values": [1.5], "dtype": "int"}, "values"),
        ({"values": [2**70], "dtype": "int"}, "values"),
    ],
)
def test_problems(keys: dict[str, object], key: str) -> None:
    found = problem(InputSpec.model_validate(keys))
    assert found is not None
    assert found.path == ((key,) if key else ())
