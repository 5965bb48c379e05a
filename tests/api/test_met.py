"""What is said of a function at inputs that a program gave it: red, green, and not judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import MetFunction
from gradcheck.api.met import judge_met
from gradcheck.frameworks.tinytorch import TinyTorch
from tinytorch import op

X = np.random.default_rng(3).standard_normal((3, 4))


@op
def met_right(x, w):
    return x * w, lambda g: (g * w, g * x)


@op
def met_constant(x, w):
    return x * w, lambda g: (g * w, None)


@op
def met_last_dropped(x):  # a slip: the last column is forgotten, the others are right
    def back(g):
        d = 2 * g * x
        d[..., -1] = 0
        return d

    return x * x, back


@op
def met_tangent(x):  # another chart: no component is a derivative
    def back(g):
        d = -3 * g
        d[..., -1] = 0
        return d

    return x * x, back


@op
def met_tiny(x):
    return x * x, lambda g: 2 * g * x * (1 + 1e-6)


@op
def met_raises(x):
    if x.dtype == np.float64:
        raise TypeError("float32 only")
    return x * x, lambda g: 2 * g * x


def met(run: Callable[..., Any], needs: tuple[str, ...] = (), **inputs: Any) -> MetFunction:
    return MetFunction(
        name="f", module="m", defined=None, arguments="", inputs=inputs, needs=needs, run=run
    )


def judged(found: MetFunction, seed: int = 0):
    return judge_met(found, TinyTorch(), seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_right_and_wrong(seed):
    assert judged(met(met_right, x=X, w=X[::-1]), seed)
    found = judged(met(met_last_dropped, x=X), seed)
    assert [f.code for f in found.findings] == ["wrong_gradient"]


def test_an_input_without_a_gradient_is_wrong_only_where_one_was_required():
    found = judged(met(met_constant, x=X, w=X))
    assert found
    assert found.notes[0] == "no gradient is given for w"
    assert judged(met(met_constant, ("x", "w"), x=X, w=X)).outcome == "failed"


def test_a_gradient_in_another_chart_is_not_judged():
    found = judged(met(met_tangent, x=X))
    assert found.outcome == "skipped"
    assert "the gradient of x" in found.reason


def test_rounding_of_float32_inputs_is_no_finding():
    found = judged(met(met_tiny, x=X.astype(np.float32)))
    assert found
    assert "rounding of its float32 inputs" in found.notes[0]
    assert judged(met(met_tiny, x=X)).outcome == "failed"


def test_what_does_not_run_again_is_not_judged():
    def broken(x):
        raise RuntimeError("gone")

    assert "gone" in judged(met(broken, x=X)).reason
    found = judged(met(met_raises, x=X.astype(np.float32)))
    assert found
    assert found.notes[0] == "it runs in float32 only: small errors cannot be seen"
