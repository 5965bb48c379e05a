"""The engine: one backward pass, its errors, what it keeps and what it must not share."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tests.tinytorch.arrays import leaf
from tinytorch import GraphError, PullbackError, Tensor
from tinytorch.autograd import topological

# --- one pass, linear in the number of nodes ------------------------------------------------------


def test_a_chain_of_ten_thousand_ops() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y * 1.0001
    y.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, 1.0001**10_000, rtol=1e-9)


def test_a_long_chain_can_be_dropped_without_backward() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    del y
    gc.collect()


def test_a_tensor_used_forty_times_in_a_row_is_pulled_back_once_for_each_node(own_op: Any) -> None:
    calls = 0

    @own_op(name="counted_add")
    def counted_add(a, b):  # type: ignore[no-untyped-def]
        def pullback(g):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            return g, g

        return a + b, pullback

    x = leaf(1.0)
    y = x
    for _ in range(40):
        y = counted_add(y, y)
    y.backward()
    assert calls == 40
    assert x.grad is not None
    assert x.grad.tolist() == [2.0**40]


def test_the_order_puts_every_tensor_after_what_it_was_made_from() -> None:
    a, b = leaf(1.0), leaf(2.0)
    c = a * b
    d = c + a
    e = d * c + b
    order = topological(e)
    place = {id(t): i for i, t in enumerate(order)}
    assert len(order) == len(place) == 6  # a, b, c, d, d * c, e
    for tensor in order:
        if tensor.node is not None:
            for source in tensor.node.inputs:
                assert place[id(source)] < place[id(tensor)]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
@pytest.mark.parametrize("uses", [1, 2, 3, 4, 7])
def test_every_use_of_a_tensor_counts(shape: tuple[int, ...], uses: int) -> None:
    x = Tensor(np.full(shape, 2.0), requires_grad=True)
    total = x * 1.0
    for k in range(1, uses):
        total = total + x * float(k + 1)
    total.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape
    np.testing.assert_array_equal(x.grad, np.full(shape, uses * (uses + 1) / 2))


def test_gradients_accumulate_over_calls_until_they_are_cleared() -> None:
    x = leaf(3.0)
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [18.0]
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [6.0]


def test_what_is_done_with_is_freed_during_backward(own_op: Any) -> None:
    """The arrays of late nodes are gone before the first nodes are pulled back."""
    alive: list[bool] = []

    @own_op(name="looks")
    def looks(x):  # type: ignore[no-untyped-def]
        def pullback(g):  # type: ignore[no-untyped-def]
            alive.append(late() is not None)
            return g

        return x + 0, pullback

    x = leaf(1.0, 2.0)
    late_tensor = looks(x) * 2
    late = weakref.ref(late_tensor)
    loss = late_tensor.sum()
    del late_tensor
    loss.backward()
    assert alive == [False]


# --- retained and freed graphs -------------------------------------------------------------------


def test_backward_twice_says_what_to_do() -> None:
    x = leaf(1.0, 2.0)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(GraphError, match="retain_graph=True") as caught:
        loss.backward()
    assert "sum" in str(caught.value)
    assert "test_engine.py" in str(caught.value)


def test_a_freed_part_is_noticed_before_any_gradient_is_written() -> None:
    x = leaf(1.0, 2.0)
    shared = x * x
    shared.sum().backward()
    x.grad = None
    with pytest.raises(GraphError, match="mul"):
        (shared * 3 + x).sum().backward()
    assert x.grad is None


def test_a_retained_graph_can_be_used_again() -> None:
    x = leaf(1.0, 2.0)
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 8.0]


# --- errors ---------------------------------------------------------------------------------


def test_backward_without_a_graph() -> None:
    with pytest.raises(GraphError, match="without a graph"):
        Tensor([1.0]).backward()
    with pytest.raises(GraphError, match="without a graph"):
        Tensor(leaf(1.0).data).sum().backward()


def test_backward_of_many_values_needs_a_cotangent() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=r"shape \(2,\) needs a cotangent"):
        (x * 2).backward()
    with pytest.raises(GraphError, match=r"shape \(3,\), the tensor has shape \(2,\)"):
        (x * 2).backward(np.ones(3))
    (x * 2).backward([1.0, -3.0])
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, -6.0]


def test_a_pullback_of_the_wrong_shape_is_named(own_op: Any) -> None:
    @own_op(name="wrong_shape")
    def wrong_shape(x):  # type: ignore[no-untyped-def]
        return x.sum(), lambda g: np.ones(5)

    @own_op(name="one_too_many")
    def one_too_many(x):  # type: ignore[no-untyped-def]
        return x + 0, lambda g: (g, g)

    with pytest.raises(PullbackError, match=r"wrong_shape .* shape \(5,\) .* shape \(2,\)"):
        wrong_shape(leaf(1.0, 2.0)).backward()
    with pytest.raises(PullbackError, match="returned 2 cotangents for 1 inputs"):
        one_too_many(leaf(1.0)).backward()


def test_integers_cannot_require_a_gradient() -> None:
    with pytest.raises(TypeError, match=r"int64 cannot require a gradient.*\.float\(\)"):
        Tensor([1, 2], requires_grad=True)


def test_only_a_leaf_can_stop_requiring_a_gradient() -> None:
    with pytest.raises(GraphError, match=r"detach"):
        (leaf(1.0) * 2).requires_grad_(False)


def test_numpy_cannot_swallow_a_graph() -> None:
    x = leaf(1.0)
    with pytest.raises(GraphError, match="no gradient"):
        np.asarray(x)
    with pytest.raises(TypeError):
        np.exp(x)  # type: ignore[call-overload]
    assert isinstance(np.ones(1) * x, Tensor)
    assert isinstance(np.float64(2.0) * x, Tensor)


def test_assignment_into_a_graph_is_refused() -> None:
    x = leaf(1.0, 2.0)
    plain = tt.zeros(2)
    with pytest.raises(GraphError, match="assignment into a tensor"):
        x[0] = 3.0
    with pytest.raises(GraphError, match="assignment into a tensor"):
        plain[0] = x[0]
    plain[Tensor([True, False])] = 5.0
    assert plain.tolist() == [5.0, 0.0]


# --- in-place changes -------------------------------------------------------------------------


def test_a_changed_input_that_is_needed_is_named() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (a * b).sum()
    b.data[0] = 9.0
    with pytest.raises(GraphError, match=r"mul .*changed in place.* input 'b', shape \(2,\)"):
        loss.backward()


def test_a_changed_result_that_is_needed_is_named() -> None:
    y = leaf(1.0, 2.0).exp()
    loss = y.sum()
    y.data *= 2
    with pytest.raises(GraphError, match=r"exp .*its result"):
        loss.backward()


def test_a_change_through_a_view_is_noticed() -> None:
    a = leaf(1.0, 2.0, 3.0, 4.0)
    square = a.reshape(2, 2)
    loss = (square * square).sum()
    a.data[3] = 0.0
    with pytest.raises(GraphError, match="mul"):
        loss.backward()


def test_a_changed_large_array_is_noticed() -> None:
    a = Tensor(np.ones((300, 300)), requires_grad=True)
    loss = (a.transpose(0, 1).exp() * a).sum()
    a.data[...] *= 0.5
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_a_change_that_no_pullback_minds_is_no_error() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (a + b).sum() + a.reshape(2, 1).sum()
    a.data[0] = 9.0  # the gradient of a sum does not depend on a
    loss.backward()
    assert a.grad is not None
    assert a.grad.tolist() == [2.0, 2.0]


def test_a_change_of_what_only_an_unneeded_gradient_uses_is_no_error() -> None:
    a, b = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    loss = (a * b).sum()
    a.data[0] = 9.0  # only b's gradient needs a, and b wants none
    loss.backward()
    assert a.grad is not None
    assert a.grad.tolist() == [3.0, 4.0]


def test_changed_ids_do_not_reach_the_graph_of_an_indexing() -> None:
    a, ids = leaf(1.0, 2.0, 3.0), np.array([0, 0])
    loss = a[ids].sum()
    ids[:] = 2
    loss.backward()
    assert a.grad is not None
    assert a.grad.tolist() == [2.0, 0.0, 0.0]


def test_replacing_data_after_the_forward_pass_is_allowed() -> None:
    a = leaf(1.0, 2.0)
    loss = (a * a).sum()
    a.data = np.array([5.0, 5.0])
    loss.backward()
    assert a.grad is not None
    assert a.grad.tolist() == [2.0, 4.0]


# --- gradients share no memory ----------------------------------------------------------------


def test_no_two_gradients_share_memory() -> None:
    a, b, c = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0, 7.0, 8.0)
    cotangent = np.array([1.0, 1.0])
    y = a + b + c.reshape(2, 2)[0] + c[2:]
    y.backward(cotangent)
    grads = [a.grad, b.grad, c.grad, cotangent]
    for i, g in enumerate(grads):
        assert isinstance(g, np.ndarray)
        assert g.flags.writeable
        for other in grads[:i]:
            assert not np.shares_memory(g, other)  # type: ignore[arg-type]


def test_a_gradient_is_no_view_of_what_the_caller_gave() -> None:
    x = leaf(1.0, 2.0)
    cotangent = np.array([1.0, 2.0])
    x.backward(cotangent)
    x.reshape(2, 1).backward(cotangent.reshape(2, 1))
    assert x.grad is not None
    assert cotangent.tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [2.0, 4.0]


def test_an_expanded_gradient_can_be_added_to() -> None:
    x = leaf(1.0, 2.0)
    x.sum().backward()
    assert x.grad is not None
    x.grad += np.array([1.0, 2.0])
    assert x.grad.tolist() == [2.0, 3.0]
