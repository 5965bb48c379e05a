"""`order: 2`, on PyTorch, which can differentiate its own backward."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tests.support.numerics import check_op

torch = pytest.importorskip("torch")


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


class CubeWrongTwice(Cube):
    """The first derivative is right; the backward's own x is cut off."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x.detach()


X = np.random.default_rng(0).standard_normal((3, 4))


def test_a_right_second_derivative():
    result = gradcheck.check_gradients(Cube.apply, X, framework="pytorch", order=2)
    assert result.outcome == "passed", result.findings


def test_a_wrong_second_derivative():
    once = gradcheck.check_gradients(CubeWrongTwice.apply, X, framework="pytorch")
    assert once.outcome == "passed", once.findings
    result = gradcheck.check_gradients(CubeWrongTwice.apply, X, framework="pytorch", order=2)
    finding = result.findings[0]
    assert finding.code == "wrong_second_derivative"
    assert finding.analytic == pytest.approx(finding.numeric / 2, rel=1e-6)


def test_a_framework_that_cannot_says_so():
    result = check_op("tanh", {"x": (3,)}, order=2)
    assert result.outcome == "passed"
    assert any("first derivatives" in n for n in result.notes)
