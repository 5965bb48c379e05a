"""`--gradcheck-functions`: a suite that knows nothing of gradcheck becomes a test of gradients."""

from __future__ import annotations

import contextlib
import importlib
import json

import pytest

OPS = """\
import numpy as np
from tinytorch import op


@op
def doors_half(x):
    return x * x, lambda g: g * x


@op
def doors_cube(x, power: int = 3):
    return x**power, lambda g: power * g * x ** (power - 1)


@op
def doors_unused(x):
    return x, lambda g: g
"""
SUITE = """\
import numpy as np
import pytest
from tinytorch import Tensor
from doors_package.ops import doors_cube, doors_half


@pytest.mark.parametrize("n", [2, 2, 3])
def test_cube(n):
    assert np.allclose(doors_cube(Tensor(np.full(n, 2.0))).data, 8)


def test_half():
    assert doors_half(Tensor(np.ones((2, 3)))).shape == (2, 3)
    assert doors_half(Tensor(np.ones((2, 3)) * 2)).shape == (2, 3)


def test_refused():
    with pytest.raises(Exception):
        doors_cube(Tensor(np.ones(2)), power="three")
"""


@pytest.fixture(autouse=True)
def torch_imported() -> None:
    """Runs inside this process forget what they import, and torch cannot be imported twice."""
    with contextlib.suppress(ImportError):
        importlib.import_module("torch")


@pytest.fixture
def suite(project):
    project.write("conftest.py", "")  # pytest then puts the root on the path
    project.write("doors_package/__init__.py", "")
    project.write("doors_package/ops.py", OPS)
    project.write("tests/test_suite.py", SUITE)
    yield project
    from tinytorch.operation import OPS as REGISTERED

    for name in [n for n in REGISTERED if n.startswith("doors_")]:
        del REGISTERED[name]


def test_each_function_and_signature_is_an_item_with_the_test_that_brought_it(suite) -> None:
    result = suite.run("--gradcheck-functions=doors_package", "--gradcheck-json=r.json", "-rA")
    result.assert_outcomes(passed=7, failed=1)  # five tests; two signatures of cube, one of half
    said = str(result.stdout)
    assert "FAILED gradcheck-functions::doors_half[test_half] - the pullback of op" in said
    assert "analytic = 0.5 x numeric everywhere" in said
    assert "doors_half is defined at doors_package/ops.py:6" in said
    again = '--gradcheck-functions=doors_package "tests/test_suite.py::test_half"'
    assert f"re-run: pytest {again}" in said
    assert "PASSED gradcheck-functions::doors_cube[test_cube[3]]" in said
    assert "never called by a test: doors_unused" in said
    items = json.loads((suite.path / "r.json").read_text())["items"]
    assert {(i["subject"], i["outcome"]) for i in items} == {
        ("doors_cube", "passed"),
        ("doors_half", "failed"),
    }


def test_nothing_is_watched_without_the_option(suite) -> None:
    suite.run().assert_outcomes(passed=5)


def test_a_run_that_saw_nothing_fails(suite) -> None:
    result = suite.run("--gradcheck-functions=doors_package", "-k", "refused")
    assert result.ret == 1
    assert "no test calls a function of doors_package: doors_cube" in str(result.stdout)
    result = suite.run("--gradcheck-functions=json")
    assert result.ret == 1
    assert "json defines no function with a backward of its own" in str(result.stdout)
    result = suite.run("--gradcheck-functions=doors_pakcage")
    assert result.ret == 1
    assert "doors_pakcage cannot be imported" in str(result.stdout)


def test_the_time_is_bounded_and_what_is_left_is_skipped(suite) -> None:
    given = ["--gradcheck-functions=doors_package", "--gradcheck-functions-seconds=0"]
    suite.run(*given).assert_outcomes(passed=5, skipped=3)


def test_the_first_failure_stops_the_run_as_it_does_elsewhere(suite) -> None:
    result = suite.run("--gradcheck-functions=doors_package", "-x")
    assert "stopping after 1 failures" in str(result.stdout)


@pytest.mark.slow
def test_with_xdist_each_signature_is_checked_once(suite) -> None:
    pytest.importorskip("xdist")
    result = suite.run("--gradcheck-functions=doors_package", "-n", "2")
    result.assert_outcomes(passed=7, failed=1)


TORCH = """\
import torch

class Half(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return ctx.scale * g * x, None

class Shared(torch.autograd.Function):
    @classmethod
    def forward(cls, ctx, x, factor=1):
        ctx.factor = cls.times * factor
        return x * ctx.factor

    @classmethod
    def backward(cls, ctx, g):
        return g * ctx.factor, None

class Twice(Shared):
    times = 2

    @classmethod
    def forward(cls, ctx, x):
        return super().forward(ctx, x, factor=3)

    @classmethod
    def backward(cls, ctx, g):
        return g * ctx.factor

class Turn(torch.autograd.Function):  # of the plane, given as an angle and a number without use
    @staticmethod
    def forward(ctx, q):
        ctx.save_for_backward(q)
        return q / q.norm(dim=-1, keepdim=True) * 2

    @staticmethod
    def backward(ctx, g):
        return torch.cat([3 * g[..., :-1], torch.zeros_like(g[..., -1:])], -1)

half = Half.apply
twice = Twice.apply
turn = Turn.apply
"""
TORCH_SUITE = """\
import torch
from doors_torch import half, twice, turn

def test_half():
    half(torch.ones(3, requires_grad=True), 2.0)

def test_twice():
    assert twice(torch.ones(3)).sum() == 18

def test_turn():
    turn(torch.randn(2, 4, requires_grad=True))
"""


def test_functions_of_pytorch(project) -> None:
    pytest.importorskip("torch")
    project.write("conftest.py", "")
    project.write("doors_torch.py", TORCH)
    project.write("tests/test_suite.py", TORCH_SUITE)
    result = project.run("--gradcheck-functions=doors_torch", "-rA")
    result.assert_outcomes(passed=4, failed=1, skipped=1)
    said = str(result.stdout)
    assert "FAILED gradcheck-functions::Half[test_half] - the pullback of op" in said
    assert "called with x (3,) float32, scale=2.0; wrt x" in said
    assert "PASSED gradcheck-functions::Twice[test_twice]" in said
    assert "the gradient of q and the gradient that it takes: no derivative by components" in said
