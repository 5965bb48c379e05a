"""Ops of PyTorch that killed the process before, and a Function that still does: findings or
verdicts under isolation, and the honest cases beside them pass."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.support.hostile import items

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals"),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
]

PLUGIN = """
import ctypes
import torch
import torch.nn.functional as F
from gradcheck import hookimpl

PIVOTS = torch.tensor([2, 3, 3], dtype=torch.int32)

def lu_unpack(data):
    return torch.lu_unpack(data, PIVOTS)[1]

def ctc(log_probs, targets):  # derived target ids are out of the range of its three classes
    lengths = torch.full((log_probs.shape[1],), log_probs.shape[0])
    of_targets = torch.full((targets.shape[0],), targets.shape[1])
    return F.ctc_loss(log_probs, targets, lengths, of_targets)

def hfftn(x):
    return torch.fft.hfftn(x)

class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g

class Reads(Square):
    @staticmethod
    def backward(ctx, g):
        ctypes.string_at(0)
        return g

class Aborts(Square):
    @staticmethod
    def backward(ctx, g):
        import os
        os.abort()

@hookimpl
def gradcheck_register(register):
    for name, op in {
        "square": Square.apply, "reads": Reads.apply, "aborts": Aborts.apply,
        "lu_unpack": lu_unpack, "ctc": ctc, "hfftn": hfftn,
    }.items():
        register.op(name, op, framework="pytorch")
"""

CASES = """
schema: 1
defaults: {framework: pytorch}
cases:
  first: {op: square, inputs: {x: [2, 3]}}
  lu_unpack: {op: lu_unpack, inputs: {data: [3, 3]}}
  second: {op: square, inputs: {x: [2, 3]}}
  ctc:
    op: ctc
    inputs: {log_probs: [5, 2, 3], targets: {shape: [2, 2], dtype: int, low: 1, high: 90}}
  third: {op: square, inputs: {x: [2, 3]}}
  hfftn: {op: hfftn, inputs: {x: [3, 4]}}
  reads: {op: reads, inputs: {x: [2, 3]}}
  fourth: {op: square, inputs: {x: [2, 3]}}
  aborts: {op: aborts, inputs: {x: [2, 3]}}
  last: {op: square, inputs: {x: [2, 3]}}
"""

HONEST = ("first", "second", "third", "fourth", "last")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_nobody_takes_the_run_along(project, workers) -> None:
    project.write("plugins/native.py", PLUGIN)
    project.write("cases/a.yaml", CASES)
    result = project.pytester.runpytest_subprocess(  # torch cannot be imported a second time
        "--gradcheck",
        "--gradcheck-isolate",
        "--gradcheck-json=r.json",
        "-p",
        "no:cacheprovider",
        *workers,
    )
    assert result.ret == 1
    found = items(project.path / "r.json")
    assert len(found) == 10
    assert {found[name]["outcome"] for name in HONEST} == {"passed"}
    for name, cause in (("reads", "SIGSEGV"), ("aborts", "SIGABRT")):
        (finding,) = found[name]["findings"]
        assert (finding["code"], finding["data"]["cause"]) == ("crashed_process", cause)
        assert "plugins/native.py:" in finding["where"]
    for name in ("lu_unpack", "ctc", "hfftn"):
        assert found[name]["outcome"] in ("passed", "failed", "skipped")
    assert found["ctc"]["outcome"] == "failed"
