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

LOW = """
schema: 1
cases:
  scale:
    op: scale
    framework: pytorch
    dtype: bfloat16
    inputs: {x: [64, 32], w: [32]}
    checks: {gradient: {variants: false}}
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


def run(pytester, factor, cases=CASES):
    pytester.mkdir("plugins").joinpath("scales.py").write_text(
        textwrap.dedent(PLUGIN).replace("FACTOR", factor)
    )
    pytester.makefile(".yaml", cases=cases)
    return pytester.runpytest("--gradcheck", "-p", "no:cacheprovider", "cases.yaml")


def test_a_right_kernel_passes(pytester):
    run(pytester, "1.0").assert_outcomes(passed=1)


def test_a_fault_in_one_dtype_is_told_with_its_reference(pytester):
    result = run(pytester, "0.9")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*scale in bfloat16: the gradient of w is 0.9* times the right one*", "*plain in float64*"]
    )


@pytest.mark.parametrize("factor", ["1.0", "0.9"])
def test_gradient_looks_at_the_dtype_of_the_case(pytester, factor):
    result = run(pytester, factor, LOW)
    result.assert_outcomes(**{"passed" if factor == "1.0" else "failed": 1})
    if factor != "1.0":
        result.stdout.fnmatch_lines(["*scale in bfloat16: the gradient of w is 0.9* times*"])


def test_a_framework_without_the_dtype_is_told_with_its_line(pytester):
    text = "schema: 1\ncases:\n  s: {op: sin, dtype: bfloat16, inputs: {x: [3]}}\n"
    pytester.makefile(".yaml", cases=text)
    result = pytester.runpytest("--gradcheck", "-p", "no:cacheprovider", "cases.yaml")
    result.stdout.fnmatch_lines(
        ["*cases.yaml:3:*tinytorch does not compute in bfloat16; there are: float64, float32*"]
    )
