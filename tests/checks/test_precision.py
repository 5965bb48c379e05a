"""The check `precision` of a case."""

from __future__ import annotations

import textwrap

import pytest

pytest.importorskip("torch")

PLUGIN = """
import torch
import torch.nn.functional as F


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        if x.dtype == torch.bfloat16:
            return g * w, (g * x).sum(0) * FACTOR
        return g * w, (g * x).sum(0)


def scale(x, w):
    return Scale.apply(x, w)


def plain(x, w):
    return x * w


from gradcheck import hookimpl


@hookimpl
def gradcheck_register(register):
    register.op("scale", scale, framework="pytorch")
    register.op("plain", plain, framework="pytorch")
"""

CASES = """
schema: 1
cases:
  scale:
    op: scale
    framework: pytorch
    inputs: {x: [64, 32], w: [32]}
    checks:
      precision: {reference: plain}
"""


def run(pytester, factor):
    pytester.mkdir("plugins").joinpath("scales.py").write_text(
        textwrap.dedent(PLUGIN).replace("FACTOR", factor)
    )
    pytester.makefile(".yaml", cases=CASES)
    return pytester.runpytest("--gradcheck", "-p", "no:cacheprovider", "cases.yaml")


def test_a_right_kernel_passes(pytester):
    run(pytester, "1.0").assert_outcomes(passed=1)


def test_a_fault_in_one_dtype_is_told_with_its_reference(pytester):
    result = run(pytester, "0.9")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*scale in bfloat16: the gradient of w is 0.9* times the right one*", "*plain in float64*"]
    )
