"""Pullbacks that are wrong in float32 alone, and right ones that only round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.engine import run_check
from gradcheck.yamlcases.case import Case, InputSpec
from tests.support.subjects import Bench
from tinytorch import op

SEEDS = range(6)


# without types: a parameter that has one is not an array


@op
def cube_by_dtype(x):
    factor = {"float32": 2.0, "float64": 3.0}[str(x.dtype)]
    return x**3, lambda g: g * np.asarray(factor, x.dtype) * x**2


@op
def cube(x):
    return x**3, lambda g: g * np.asarray(3, x.dtype) * x**2


@op
def cancelling(x):
    """Right, and with few digits in float32: 1,000 is added and taken away again."""
    big = np.asarray(1000, x.dtype)
    y = (x + big) - big
    return y * y, lambda g: 2 * g * y


@op
def only_double(x):
    if x.dtype != np.float64:
        raise TypeError("float64, please")
    return x * x, lambda g: 2 * g * x


def found(fn: Any, seed: int) -> Any:
    bench = Bench()
    bench.add("op", "mine", fn)
    case = Case(name="c", op="mine", inputs={"x": InputSpec(shape=(3, 4))}, checks={"gradient": {}})
    return run_check(case, "gradient", bench.registry, seed=seed).findings


@pytest.mark.parametrize("seed", SEEDS)
def test_a_table_by_dtype(seed: int) -> None:
    (finding,) = found(cube_by_dtype, seed)
    assert finding.code == "wrong_gradient"
    assert "in float32: the gradient of x is 0.667 times the right one" in finding.message
    assert "only float32 is wrong" in finding.lines[-1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fn", [cube, cancelling, only_double])
def test_right_ones(fn: Any, seed: int) -> None:
    assert not found(fn, seed)
