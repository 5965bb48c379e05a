"""Tensors outside the graph, their dtypes, comparisons, creation, and how ops bind arguments."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tests.tinytorch.arrays import leaf
from tinytorch import GraphError, ShapeError, Tensor

# --- outside the graph ------------------------------------------------------------------------


def test_no_grad_and_enable_grad() -> None:
    x = leaf(1.0)
    with tt.no_grad():
        assert not tt.is_grad_enabled()
        assert not (x * 2).requires_grad
        with tt.enable_grad():
            assert (x * 2).requires_grad
        assert not tt.is_grad_enabled()
    assert (x * 2).requires_grad


def test_no_grad_can_be_nested_in_itself_and_survives_errors() -> None:
    context = tt.no_grad()
    with context:
        with context:
            pass
        assert not tt.is_grad_enabled()
    assert tt.is_grad_enabled()
    with pytest.raises(KeyError), context:
        raise KeyError
    assert tt.is_grad_enabled()


def test_no_grad_and_enable_grad_as_decorators() -> None:
    @tt.no_grad()
    def off() -> bool:
        """Doc."""
        return tt.is_grad_enabled()

    @tt.enable_grad()
    def on() -> bool:
        return tt.is_grad_enabled()

    assert off() is False
    assert off.__doc__ == "Doc."
    with tt.no_grad():
        assert on() is True


def test_no_grad_is_of_one_thread() -> None:
    seen: list[bool] = []
    with tt.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tt.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach_shares_the_array_and_has_no_graph() -> None:
    x = leaf(1.0, 2.0)
    y = (x * 2).detach()
    assert y.node is None
    assert not y.requires_grad
    assert x.detach().data is x.data
    (x.detach() * x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 2.0]


def test_inputs_without_gradient_stay_without() -> None:
    x, constant = leaf(1.0, 2.0), Tensor(np.array([1.0, 1.0]))
    (x * constant).sum().backward()
    assert constant.grad is None


def test_a_leaf_can_be_copied_and_a_result_cannot() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert first.requires_grad
    assert first.grad.tolist() == [2.0, 4.0]
    first.data[0] = 9.0
    assert x.data[0] == 1.0
    with pytest.raises(GraphError, match=r"op mul cannot be deep-copied"):
        copy.deepcopy(x * 2)


def test_an_attribute_cannot_swallow_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=r"clip\(\) .* requires a gradient as 'min'"):
        tt.clip(x, min=x.sum())
    assert tt.clip(x, min=Tensor(1.5)).tolist() == [1.5, 2.0]


def test_arguments_are_bound_as_python_binds_them() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match=r"tanh\(\) got two values for its argument 'x'"):
        tt.tanh(x, x=x)
    with pytest.raises(TypeError, match=r"tanh\(\) takes 1 arguments, got 2"):
        tt.tanh(x, x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'axis'"):
        tt.softmax(x, axis=0)
    assert tt.linear(weight=Tensor([[2.0]]), x=Tensor([3.0])).tolist() == [6.0]


# --- dtypes -----------------------------------------------------------------------------------


def test_float32_is_the_default() -> None:
    assert Tensor([1.0]).dtype == np.float32
    assert Tensor(1.0).dtype == np.float32
    assert Tensor([1, 2]).dtype == np.int64
    assert Tensor([True]).dtype == np.bool_
    assert Tensor(np.ones(2)).dtype == np.float64
    for made in (
        tt.zeros(2),
        tt.ones(2, 3),
        tt.randn(2),
        tt.rand((2, 3)),
        tt.eye(2),
        tt.full(2, 1.5),
    ):
        assert made.dtype == np.float32
    assert tt.arange(3).dtype == np.int64
    assert tt.arange(0, 1, 0.25).dtype == np.float32
    assert tt.tensor([1.0], dtype=tt.float64).dtype == np.float64


def test_dtype_of_the_inputs_is_the_dtype_of_the_result() -> None:
    x, n = tt.ones(2), Tensor([1, 2])
    for y in (x * 2, x + 1.5, 2 / x, x**2, x * n, n / 2, n / n, n.float() * 2, x * np.float64(3)):
        assert y.dtype == np.float32, y
    assert (n * 2).dtype == np.int64
    assert n.sum().dtype == np.int64
    assert (n * 1.5).dtype == np.float32
    scalar = tt.tensor(2.0)
    assert (scalar * 3.0).dtype == np.float32
    assert (scalar + 1).exp().dtype == np.float32
    assert (x * x.double()).dtype == np.float64


def test_gradients_have_the_dtype_of_their_tensor() -> None:
    a, b = leaf(1.0, 2.0, dtype=np.float32), leaf(3.0, 4.0)
    (a * b).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)
    assert a.grad.tolist() == [3.0, 4.0]


def test_casts_keep_the_graph_where_a_gradient_can_pass() -> None:
    x = leaf(1.5, 2.5, dtype=np.float32)
    assert x.double().dtype == np.float64
    assert x.to(tt.float32) is x
    (x.double() * 3).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.long().tolist() == [1, 2]
    assert not x.long().requires_grad


# --- comparisons, hashing, creation ------------------------------------------------------------


def test_comparisons_are_boolean_tensors_without_a_graph() -> None:
    x = leaf(1.0, 2.0, 3.0)
    for mask, expected in (
        (x == 2, [False, True, False]),
        (x != x, [False] * 3),
        (x < Tensor([2.0, 2.0, 2.0]), [True, False, False]),
        (x >= 2, [False, True, True]),
        (x.__lt__(2), [True, False, False]),
        ((x > 1) & ~(x > 2), [False, True, False]),
        ((x < 2) | (x > 2), [True, False, True]),
    ):
        assert mask.dtype == np.bool_
        assert not mask.requires_grad
        assert mask.tolist() == expected
    assert (x == "a") is False
    assert len({x, x, leaf(1.0, 2.0, 3.0)}) == 2


def test_the_same_seed_gives_the_same_numbers() -> None:
    tt.manual_seed(4)
    first = [tt.randn(3).tolist(), tt.randint(5, (4,)).tolist(), tt.randperm(6).tolist()]
    tt.manual_seed(4)
    assert first == [tt.randn(3).tolist(), tt.randint(5, (4,)).tolist(), tt.randperm(6).tolist()]
    assert all(0 <= n < 5 for n in first[1])


def test_creation_like_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for make in (
        lambda m: m.zeros(2, 3),
        lambda m: m.ones((2, 3)),
        lambda m: m.full((2,), 1.5),
        lambda m: m.arange(2, 7, 2),
        lambda m: m.arange(0.0, 1.0, 0.25),
        lambda m: m.linspace(-1, 1, 5),
        lambda m: m.eye(2, 3),
        lambda m: m.zeros_like(m.ones(2)),
        lambda m: m.ones_like(m.arange(3)),
        lambda m: m.full_like(m.zeros(2), 3.0),
        lambda m: m.tensor([[1, 2], [3, 4]]),
    ):
        ours, theirs = make(tt), make(torch)
        assert ours.shape == tuple(theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-6)


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.zeros(2)
    copied, shared = tt.tensor(a), tt.from_numpy(a)
    a[0] = 1.0
    assert copied.tolist() == [0.0, 0.0]
    assert shared.tolist() == [1.0, 0.0]


# --- the op contract ----------------------------------------------------------------------------


def test_a_node_holds_what_a_second_run_needs() -> None:
    x, w = leaf(1.0, 2.0), leaf(0.5, -1.0)
    node = (x @ w).node
    assert node is not None
    y, _ = node.op.run([t.data for t in node.inputs], node.attrs)
    assert float(y) == -1.5
    assert node.where.file.endswith("test_tensor.py")
    assert node.needs == (True, True)


def test_recorded_axes_count_from_the_end() -> None:
    x = Tensor(np.zeros((2, 3, 4)), requires_grad=True)
    for y, name, value in (
        (x.sum(1), "dim", (-2,)),
        (x.sum(), "dim", (-3, -2, -1)),
        (x.softmax(0), "dim", -3),
        (x.transpose(0, 2), "dim0", -3),
        (x.unsqueeze(0), "dim", -4),
        (tt.cat([x, x], 1), "dim", -2),
        (tt.stack([x, x], 0), "dim", -4),
        (x.reshape(6, -1), "shape", (6, 4)),
    ):
        assert y.node is not None
        assert y.node.attrs[name] == value


def test_an_op_refuses_an_untyped_keyword(own_op: Any) -> None:
    with pytest.raises(TypeError, match="keyword-only parameter 'k' has no type"):

        @own_op(name="untyped")
        def untyped(x, *, k=1):  # type: ignore[no-untyped-def]
            return x, lambda g: g


def test_shape_errors_name_the_op_the_shapes_and_the_line() -> None:
    with pytest.raises(ShapeError, match=r"op matmul at .*test_tensor\.py:\d+ .*\(2, 3\).*\(2,\)"):
        tt.zeros(2, 3) @ tt.zeros(2)
