"""What every op promises besides its numbers: pure, re-runnable, analytic, shape-agnostic."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinytorch
import tinytorch.nn.functional as F
from tests.tinytorch.arrays import signed
from tests.tinytorch.op_table import CALLS, Call, of_every_op
from tinytorch import OPS, ShapeError, Tensor
from tinytorch.autograd import pull_back
from tinytorch.node import Node
from tinytorch.ops._erf import erf as erf_of
from tinytorch.ops._normal import normal_cdf

pytestmark = pytest.mark.filterwarnings("ignore")


class Ours:
    F = F

    def __getattr__(self, name: str) -> Any:
        return getattr(tinytorch, name)


def nodes_of(call: Call, seed: int = 0) -> list[Node]:
    """Every op call that `call` records, from inputs that all require a gradient."""
    leaves = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in call.arrays()]
    y = call.ours(Ours(), *leaves)
    found: dict[int, Node] = {}
    stack = [y]
    while stack:
        node = stack.pop().node
        if node is not None and id(node) not in found:
            found[id(node)] = node
            stack += [t for t in node.inputs if isinstance(t, Tensor)]
    return list(found.values())


def arrays_of(node: Node) -> list[Any]:
    return [t._data if isinstance(t, Tensor) else t for t in node.inputs]


def same(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=True)


@of_every_op()
def test_pure_and_re_runnable(call: Call) -> None:
    """Running an op or its pullback again gives the same bits, and changes nothing it was given."""
    for node in nodes_of(call):
        arrays = arrays_of(node)
        before = copy.deepcopy((arrays, node.attrs))
        y, _ = node.op.run(arrays, node.attrs)
        again, _ = node.op.run(arrays, node.attrs)
        assert same(y, again)
        g = signed(y.shape)
        kept = g.copy()
        first = pull_back(node, g)
        second = pull_back(node, g)
        assert same(g, kept)
        for a, b in zip(first, second):
            assert (a is None and b is None) or same(a, b)
        for a, b in zip(arrays, before[0]):
            assert a is None or same(a, b)
        assert repr(node.attrs) == repr(before[1])


@of_every_op()
def test_pullback_is_linear(call: Call) -> None:
    for node in nodes_of(call):
        if node.op.name == "cast":  # to float32 and back rounds
            continue
        g, h = signed(node.shape, 1), signed(node.shape, 2)
        parts = zip(pull_back(node, g), pull_back(node, h), pull_back(node, 2 * g - 3 * h))
        for a, b, both in parts:
            if a is not None and np.isfinite(a).all():
                np.testing.assert_allclose(both, 2 * a - 3 * b, rtol=1e-9, atol=1e-10)


@of_every_op()
def test_memory_layout_does_not_matter(call: Call) -> None:
    """Reversed and strided views of the same numbers give the same result and gradients."""
    for node in nodes_of(call):
        arrays = arrays_of(node)
        odd = [strided(a) if isinstance(a, np.ndarray) else a for a in arrays]
        expected, _ = node.op.run(arrays, node.attrs)
        got, pullback = node.op.run(odd, node.attrs)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
        g = signed(node.shape)
        twin = Node(
            node.op, node.inputs, node.attrs, pullback, node.needs, node.shape, node.where, []
        )
        for a, b in zip(pull_back(node, g), pull_back(twin, strided(g))):
            if a is not None:
                np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-11)


def strided(a: np.ndarray) -> np.ndarray:
    """The same entries at negative and doubled strides."""
    if a.ndim == 0:
        return a
    room = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    view = room[..., ::-2]
    view[...] = a
    return view


# Real functions that are no restriction of an analytic one, or not where an input lies.
NOT_ANALYTIC = {
    "abs", "maximum", "minimum", "max", "min", "max_pool2d", "l1_loss",
    "huber_loss", "clip", "cast", "where",
}  # fmt: skip


@of_every_op(c for c in CALLS if c.op not in NOT_ANALYTIC)
def test_complex_step(call: Call) -> None:
    """Im f(x + ih v) / h is the derivative along v, exact to rounding, for analytic ops."""
    h = 1e-30
    for node in nodes_of(call):
        if node.op.name in NOT_ANALYTIC or "padding_idx" in node.attrs:
            continue  # the row padding_idx has no gradient by decree
        arrays = arrays_of(node)
        if node.op.name == "pow" and np.any(np.equal(arrays[0], 0)):
            continue  # the branch point
        y, _ = node.op.run(arrays, node.attrs)
        if not np.isfinite(y).all():
            continue
        g = signed(node.shape)
        for i, part in enumerate(pull_back(node, g)):
            if part is None or not np.isfinite(part).all() or 0 in arrays[i].shape:
                continue
            v = signed(arrays[i].shape, 5 + i)
            moved = [a + 1j * h * v if k == i else a for k, a in enumerate(arrays)]
            y, _ = node.op.run(moved, node.attrs)
            numeric = float((g * y.imag / h).sum())
            analytic = float((part * v).sum())
            assert math.isclose(numeric, analytic, rel_tol=1e-10, abs_tol=1e-11), node


def lifted(node: Node, which: int, copies: list[np.ndarray]) -> np.ndarray:
    """The op on all copies at once: one input with a leading axis, aligned with the widest one."""
    arrays = arrays_of(node)
    rank = max(np.ndim(a) for a in arrays if a is not None)
    x = np.stack(copies)
    aligned = x.reshape(len(copies), *(1,) * (rank - copies[0].ndim), *copies[0].shape)
    arrays[which] = aligned
    y, _ = node.op.run(arrays, node.attrs)
    return y.reshape(len(copies), *node.shape)


# Inputs that cannot carry a leading axis of their own.
ONE_AT_A_TIME = {
    "conv1d": (1, 2), "conv2d": (1, 2), "concat": (0, 1, 2), "stack": (0, 1, 2),
    "cross_entropy": (2,), "nll_loss": (2,), "batch_norm": (1, 2, 3, 4),
}  # fmt: skip


@of_every_op()
def test_extra_leading_axes(call: Call) -> None:
    """Many copies of one input at once give what the copies give one by one."""
    for node in nodes_of(call):
        arrays = arrays_of(node)
        for i, array in enumerate(arrays):
            if not node.needs[i] or i in ONE_AT_A_TIME.get(node.op.name, ()):
                continue
            if node.op.name == "matmul" and array.ndim < max(2, np.ndim(arrays[1 - i])):
                continue  # a vector, or a matrix for all batches
            if node.op.name == "einsum" and "..." in node.attrs["equation"]:
                continue
            copies = [array, array * 0.5, array + 0.25]
            one_by_one = []
            for c in copies:
                one = list(arrays)
                one[i] = c
                one_by_one.append(node.op.run(one, node.attrs)[0])
            np.testing.assert_allclose(
                lifted(node, i, copies), np.stack(one_by_one), rtol=1e-12, atol=1e-12
            )


# --- by hypothesis ----------------------------------------------------------------------------

small = settings(max_examples=60, deadline=None)


@small
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.data())
def test_gradients_of_broadcast_inputs_are_summed(shapes: Any, data: Any) -> None:
    """For y = a * b the gradient of a is the sum of g * b over the axes a was repeated along."""
    (left, right), whole = shapes.input_shapes, shapes.result_shape
    a = Tensor(signed(left, 1), requires_grad=True)
    b = Tensor(signed(right, 2), requires_grad=True)
    g = signed(whole, 3)
    (a * b).backward(g)
    for x, other in ((a, b), (b, a)):
        full = np.broadcast_to(g * other.data, whole)
        extra = len(whole) - x.ndim
        axes = (*range(extra), *(extra + k for k, n in enumerate(x.shape) if n == 1))
        assert x.grad is not None
        np.testing.assert_allclose(x.grad, full.sum(axis=axes).reshape(x.shape), atol=1e-12)


@small
@given(hnp.array_shapes(max_dims=4, max_side=4), st.data())
def test_indexing_like_numpy_and_its_adjoint(shape: Any, data: Any) -> None:
    """x[i] is numpy's, and <x[i], g> = <x, gradient>, for basic and for integer indices."""
    x = Tensor(signed(shape, 1), requires_grad=True)
    index = data.draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True),
            hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2)),
            hnp.arrays(np.bool_, shape),
        )
    )
    y = x[index]
    assert same(y.data, x.data[index])
    g = signed(y.shape, 2)
    y.backward(g)
    assert x.grad is not None
    assert math.isclose(float((y.data * g).sum()), float((x.data * x.grad).sum()), abs_tol=1e-10)
    expected = np.zeros(shape)
    np.add.at(expected, index, g)
    np.testing.assert_allclose(x.grad, expected, atol=1e-12)


@small
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_repeated_ids_add_up(ids: list[int]) -> None:
    weight = tinytorch.zeros(5, 2, requires_grad=True)
    F.embedding(Tensor(np.array(ids)), weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad[:, 0].tolist() == [ids.count(k) for k in range(5)]


# --- erf --------------------------------------------------------------------------------------


def test_erf_to_double_precision() -> None:
    x = np.concatenate(
        [np.linspace(-7, 7, 20001), np.logspace(-300, 0, 2000), [0.46875, np.nextafter(0.46875, 1)]]
    )
    exact = np.array([math.erf(v) for v in x])
    got = tinytorch.erf(Tensor(x)).data
    np.testing.assert_allclose(got, exact, rtol=1e-15, atol=0)
    assert tinytorch.erf(Tensor(np.array([np.inf, -np.inf, -0.0]))).tolist() == [1.0, -1.0, 0.0]
    assert np.isnan(tinytorch.erf(Tensor(np.array([np.nan]))).data[0])


@pytest.mark.parametrize("height", [1e-30, 1e-8, 0.1, 1.0, 4.0, 12.0])
def test_erf_of_complex_numbers(height: float) -> None:
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(-7, 7, 141), [0.0, 1e-12, -1e-300]])
    z = x + 1j * height * np.linspace(-1, 1, x.size)
    with np.errstate(all="ignore"):
        exact = special.erf(z)
    got = erf_of(z)
    assert (np.abs(got - exact) <= 3e-14 * np.abs(exact)).all()
    if height < 1e-6:  # the imaginary part alone: a complex step
        slope = 2 / np.sqrt(np.pi) * np.exp(-x * x) * z.imag
        assert (np.abs(got.imag - slope) <= 1e-13 * np.abs(slope)).all()


def test_erf_of_complex_numbers_says_where_it_ends() -> None:
    assert erf_of(np.array([1 + 1j], np.complex64)).dtype == np.complex64
    assert np.isnan(erf_of(np.array([np.nan + 0j]))[0])
    with pytest.raises(ValueError, match="16"):
        erf_of(np.array([1 + 17j]))


def test_erf_in_float32() -> None:
    x = np.linspace(-5, 5, 10001).astype(np.float32)
    exact = np.array([math.erf(float(v)) for v in x])
    np.testing.assert_allclose(tinytorch.erf(Tensor(x)).data, exact, rtol=6e-7, atol=0)


def test_normal_distribution_function() -> None:
    x = np.concatenate([np.linspace(-9, 9, 20001), np.linspace(-300, 300, 301), [0.0, -0.0]])
    exact = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    np.testing.assert_allclose(normal_cdf(x), exact, rtol=0, atol=2.5e-16)
    near = np.abs(x) < 5  # the lower tail is right relative to itself there too
    np.testing.assert_allclose(normal_cdf(x)[near], exact[near], rtol=1e-9)
    ends = normal_cdf(np.array([np.inf, -np.inf, np.nan]))
    assert ends[:2].tolist() == [1.0, 0.0]
    assert np.isnan(ends[2])


# --- refusals: sentences with the op and the shapes ---------------------------------------------

REFUSALS: list[Any] = [
    (lambda: tinytorch.zeros(2, 3) @ tinytorch.zeros(4, 5), ["op matmul", "(2, 3)", "(4, 5)"]),
    (lambda: tinytorch.zeros(2, 3) + tinytorch.zeros(4), ["op add", "(2, 3)", "(4,)"]),
    (lambda: tinytorch.zeros(2, 3).sum(2), ["op sum", "dim 2 is out of range for 2 axes"]),
    (lambda: tinytorch.zeros(2, 3).sum((0, -2)), ["op sum", "name an axis twice"]),
    (lambda: tinytorch.zeros(2, 3).reshape(4, 2), ["op reshape", "(2, 3)", "(4, 2)"]),
    (lambda: tinytorch.zeros(2, 3)[2], ["op getitem", "(2, 3)", "out of bounds"]),
    (lambda: tinytorch.zeros(2, 3)[0, 0, 0], ["op getitem", "3 indices for 2 axes"]),
    (lambda: tinytorch.zeros(2, 3)[Tensor([0.5])], ["op getitem", "must be integers"]),
    (lambda: tinytorch.einsum("ii->i", tinytorch.zeros(2, 2)), ["op einsum", "'i' stands twice"]),
    (lambda: tinytorch.einsum("ij,jk", tinytorch.zeros(2, 2)), ["names 2 operands, got 1"]),
    (lambda: tinytorch.einsum("ij->k", tinytorch.zeros(2, 2)), ["'k'", "is in no operand"]),
    (
        lambda: F.embedding(Tensor([0, 5]), tinytorch.zeros(5, 2)),
        ["op embedding", "ids run from 0 to 5, but there are 5 rows"],
    ),
    (
        lambda: F.cross_entropy(tinytorch.zeros(2, 3), Tensor([0, 3])),
        ["op cross_entropy", "target runs from 0 to 3, but C is 3"],
    ),
    (
        lambda: F.cross_entropy(tinytorch.zeros(2, 3), Tensor([0, 1, 2])),
        ["op cross_entropy", "input (2, 3)", "target (3,)"],
    ),
    (lambda: F.cross_entropy(tinytorch.zeros(2), Tensor([0.0, 1.0])), ["class ids (integers)"]),
    (lambda: F.mse_loss(tinytorch.zeros(2), tinytorch.zeros(2), "avg"), ["'avg'", "'none'"]),
    (lambda: F.gelu(tinytorch.zeros(2), "fast"), ["'fast'", "'tanh'"]),
    (
        lambda: F.linear(tinytorch.zeros(2, 3), tinytorch.zeros(4, 5)),
        ["op linear", "x (2, 3)", "weight (4, 5)"],
    ),
    (
        lambda: F.layer_norm(tinytorch.zeros(2, 3), (3,), tinytorch.zeros(2)),
        ["op layer_norm", "weight (2,)"],
    ),
    (lambda: F.layer_norm(tinytorch.zeros(2, 3), (4,)), ["normalized_shape (4,)", "(2, 3)"]),
    (
        lambda: F.conv2d(tinytorch.zeros(1, 3, 5, 5), tinytorch.zeros(2, 4, 3, 3)),
        ["op conv2d", "3 channels", "weight (2, 4, 3, 3)"],
    ),
    (lambda: F.max_pool2d(tinytorch.zeros(1, 2, 2), 3), ["op max_pool2d", "does not fit"]),
    (
        lambda: F.batch_norm(tinytorch.zeros(1, 2), None, None, training=True),
        ["more than one value"],
    ),
    (lambda: tinytorch.cat([]), ["op concat", "at least one"]),
    (lambda: tinytorch.zeros(4).split([1, 2]), ["do not add up to 4"]),
    (lambda: tinytorch.zeros(4).split(0), ["positive size"]),
    (lambda: F.dropout(tinytorch.zeros(4), 1.5), ["p=1.5"]),
    (lambda: F.pad(tinytorch.zeros(4), (1, 1), "reflect"), ["'reflect'", "only 'constant'"]),
    (lambda: tinytorch.zeros(2, 3).gather(1, Tensor([[3]])), ["op gather", "dim -1 has length 3"]),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS, ids=lambda v: v[0] if type(v) is list else "")
def test_refusals_are_sentences(make: Any, words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make()
    for word in words:
        assert word in str(caught.value)
    if words[0].startswith("op "):
        assert isinstance(caught.value, ShapeError)
        assert "test_ops_properties.py" in str(caught.value)  # the line of the call


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(TypeError, match=r"linear\(\) needs its argument 'weight'"):
        OPS["linear"](tinytorch.zeros(2))
