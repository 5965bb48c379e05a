"""Every op against PyTorch: values and gradients, with cotangents of both signs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinytorch
import tinytorch.nn.functional
from tests.tinytorch.arrays import signed
from tests.tinytorch.op_table import CALLS, Call, of_every_op
from tinytorch import OPS, Tensor

torch = pytest.importorskip("torch")


class Namespace(SimpleNamespace):
    """A framework with its functional module as `F`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.framework, name)


OURS = Namespace(framework=tinytorch, F=tinytorch.nn.functional)
THEIRS = Namespace(framework=torch, F=torch.nn.functional)


def run_ours(call: Call, dtype: Any) -> tuple[Tensor, list[Any]]:
    leaves = [
        Tensor(a.astype(dtype), requires_grad=True) if a.dtype.kind == "f" else Tensor(a)
        for a in call.arrays()
    ]
    return call.ours(OURS, *leaves), leaves


@pytest.mark.filterwarnings("ignore")
@of_every_op()
def test_values_and_gradients(call: Call) -> None:
    y, leaves = run_ours(call, np.float64)
    twins = [torch.tensor(a.copy(), requires_grad=a.dtype.kind == "f") for a in call.arrays()]
    expected = call.theirs(THEIRS, *twins)
    assert y.shape == tuple(expected.shape)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    g = signed(y.shape)
    y.backward(g)
    expected.backward(torch.tensor(g))
    for ours, theirs in zip(leaves, twins):
        if theirs.grad is None:
            assert ours.grad is None
            continue
        assert ours.grad is not None
        assert ours.grad.dtype == np.float64
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@of_every_op(c for c in CALLS if c.op != "cast")
def test_float32_stays_float32(call: Call) -> None:
    y, leaves = run_ours(call, np.float32)
    exact, _ = run_ours(call, np.float64)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, exact.data, rtol=2e-4, atol=2e-5)
    y.backward(signed(y.shape))
    for leaf in leaves:
        assert leaf.grad is None or leaf.grad.dtype == np.float32


def test_every_op_is_compared() -> None:
    own = {name for name, op in OPS.items() if op.__module__.startswith("tinytorch.")}
    assert own == {c.op for c in CALLS}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted({c.op for c in CALLS}))
def test_a_call_in_the_table_runs_the_op_it_is_listed_under(name: str) -> None:
    """The table cannot claim an op that its calls never reach."""
    reached = False
    for call in CALLS:
        if call.op == name:
            y, _ = run_ours(call, np.float64)
            reached = reached or name in ops_of(y)
    assert reached


def ops_of(y: Tensor) -> set[str]:
    found, stack = set(), [y]
    while stack:
        node = stack.pop().node
        if node is not None:
            found.add(node.op.name)
            stack += [t for t in node.inputs if isinstance(t, Tensor)]
    return found
