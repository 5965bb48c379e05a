"""Steps, probes and directions stay inside a declared domain, and its edges are checked too."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tests.support.numerics import check_op
from tests.support.results import codes
from tinytorch import Op

EDGES = np.array([[0.0, 0.25, 1.0], [0.5, 1e-6, 0.999999]])


def within(seen, at=None, low=0.0, high=1.0):
    """x - x^3 / 2, which refuses what is outside; wrong by 1 % where x equals `at`."""

    def cubic(x):
        seen.append(np.array(x))
        if np.nanmin(x) < low or np.nanmax(x) > high:
            raise ValueError("outside of the domain")
        off = 1.0 if at is None else np.where(x == at, 1.01, 1.0)
        return x - x**3 / 2, lambda g: g * (1 - 1.5 * x**2) * off

    return Op(cubic, "cubic")


@pytest.mark.parametrize("seed", range(3))
def test_nothing_runs_outside_and_every_entry_is_decided(seed):
    seen = []
    result = gradcheck.check_gradients(within(seen), EDGES, low=0, high=1, seed=seed)
    assert codes(result) == []
    assert result.measurements["undecided"] == 0
    assert min(np.nanmin(x) for x in seen) >= 0.0
    assert max(np.nanmax(x) for x in seen) <= 1.0


@pytest.mark.parametrize("at", [0.0, 0.25, 0.5, 1e-6, 0.999999])
def test_a_wrong_entry_at_or_near_an_edge_is_found(at):
    result = gradcheck.check_gradients(within([], at), EDGES, low=0, high=1)
    assert codes(result)[0] == "wrong_gradient"
    assert EDGES[result.findings[0].index] == at


def test_the_domain_of_a_case_is_that_of_its_inputs():
    seen = []
    spec = {"x": {"shape": [3, 4], "low": 0.0, "high": 1.0}}
    assert codes(check_op(within(seen), spec, variants=False)) == []
    assert min(np.nanmin(x) for x in seen) >= 0.0
    assert max(np.nanmax(x) for x in seen) <= 1.0


def test_one_domain_for_each_input():
    def power(x, p):
        return np.power(x, p), lambda g: (g * p * x ** (p - 1), g * np.log(x) * x**p)

    x, p = np.array([0.5, 1e-3]), np.array([-2.0, 3.0])
    result = gradcheck.check_gradients(Op(power, "power"), x, p, low=[0.0, None])
    assert codes(result) == []


@pytest.mark.parametrize(
    ("domain", "says"),
    [
        ({"low": 2, "high": 1}, "high must be greater than low, for input 0"),
        ({"low": [0.0, 1.0]}, "low must be a number, or a list of one for each input"),
        ({"high": "1"}, "high must be a number, or a list of one for each input"),
        ({"low": 0.9}, "input 0 has entries outside of 0.9 to inf; correct low and high"),
    ],
)
def test_what_is_no_domain_is_an_error(domain, says):
    with pytest.raises(ValueError, match=says):
        gradcheck.check_gradients(within([]), EDGES, **domain)
