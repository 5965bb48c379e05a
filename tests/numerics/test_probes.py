"""What the check asks of an op beyond its declared point is its own affair: it never accuses."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tests.support.numerics import check_op
from tinytorch import op


@op
def solves(x):
    """The inverse of a positive definite matrix; refuses NaN, as solvers do, and other shapes."""
    if x.ndim != 2 or not np.isfinite(x).all():
        raise np.linalg.LinAlgError("the matrix must be finite")
    y = np.linalg.inv(x)
    return y, lambda g: -y.T @ g @ y.T


@op
def within_bounds(x):
    """A logarithm that refuses what is outside of (0, 1)."""
    if not ((x > 0) & (x < 1)).all():
        raise ValueError("all elements must be between 0 and 1")
    return np.log(x), lambda g: g / x


@op
def poisson(x):
    e = np.exp(x)
    return e - 3 * x, lambda g: g * (e - 3)


@op
def contiguous_only(x):
    if not x.flags.c_contiguous:
        raise ValueError("the input must be contiguous")
    return x * x, lambda g: 2 * g * x


MATRIX = np.eye(3) * 2 + 0.1 * np.arange(9).reshape(3, 3)


@pytest.mark.parametrize("function", [solves, within_bounds, contiguous_only], ids=lambda f: f.name)
def test_an_op_that_refuses_a_probe_is_not_accused(function):
    x = MATRIX if function is solves else np.array([[0.02, 0.5], [0.999, 0.3]])
    result = gradcheck.check_gradients(function, x)
    assert result.outcome == "passed", result.findings


@pytest.mark.parametrize("seed", range(5))
def test_one_entry_of_a_huge_result_does_not_set_the_step_of_the_others(seed):
    assert not check_op(poisson, {"x": [7]}, seed=seed).findings
    result = gradcheck.check_gradients(poisson, np.array([-20.0, 40.0, 1.0, -3.0]), seed=seed)
    assert result.outcome == "passed", result.findings


def test_a_wrong_op_that_refuses_probes_is_still_found():
    @op
    def half_solves(x):
        y, pullback = solves.fn(x)
        return y, lambda g: 0.5 * pullback(g)

    assert gradcheck.check_gradients(half_solves, MATRIX).outcome == "failed"


@pytest.mark.parametrize("seed", range(6))
def test_the_rounding_of_a_layer_norm_at_zero_variance_is_not_a_breach(seed):
    @op
    def layer_norm(x):
        mean = x.mean(-1, keepdims=True)
        inverse = 1 / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
        normed = (x - mean) * inverse

        def pullback(g):
            flow = g - g.mean(-1, keepdims=True) - normed * (g * normed).mean(-1, keepdims=True)
            return flow * inverse

        return normed, pullback

    x = np.random.default_rng(seed).normal(size=(2, 1))
    assert gradcheck.check_gradients(layer_norm, x, seed=seed).outcome == "passed"


# --- PyTorch -----------------------------------------------------------------------------------


def selections(torch):
    return {
        "median": torch.median,
        "sort": lambda x: torch.sort(x).values,
        "topk": lambda x: torch.topk(x, 3).values,
        "kthvalue": lambda x: torch.kthvalue(x, len(x) // 2).values,
        "mode": lambda x: torch.mode(x).values,
        "amax": torch.amax,
    }


@pytest.mark.parametrize("name", ["median", "sort", "topk", "kthvalue", "mode", "amax"])
@pytest.mark.parametrize("size", [8, 9, 65])
def test_any_way_to_break_a_tie_of_all_entries_is_right(name, size):
    torch = pytest.importorskip("torch")
    x = torch.full((size,), 0.7, dtype=torch.float64)
    for seed in range(2):
        result = gradcheck.check_gradients(selections(torch)[name], x, seed=seed)
        assert result.outcome == "passed", result.findings


@pytest.mark.parametrize("size", [8, 65])
def test_the_full_gradient_to_every_tie_is_wrong(size):
    torch = pytest.importorskip("torch")

    class Greedy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.max()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * (x == x.max()).double()

    x = torch.full((size,), 0.7, dtype=torch.float64)
    assert gradcheck.check_gradients(Greedy.apply, x).outcome == "failed"


def test_native_code_never_gets_one_input_stacked():
    torch = pytest.importorskip("torch")
    shapes = set()

    def seen(x):
        shapes.add(tuple(x.shape))
        return (x @ x).tanh()

    x = torch.rand(3, 3, dtype=torch.float64)
    assert gradcheck.check_gradients(seen, x).outcome == "passed"
    assert shapes == {(3, 3)}


def test_a_random_op_is_not_said_to_depend_on_the_memory_layout():
    torch = pytest.importorskip("torch")
    x = torch.rand(4, 5, dtype=torch.float64)
    result = gradcheck.check_gradients(lambda x: torch.nn.functional.dropout(x, 0.5), x)
    assert result.outcome == "passed", result.findings


@pytest.mark.parametrize("name", ["svd", "eigh", "cholesky", "matrix_exp", "half", "conjugate"])
def test_ops_whose_probes_fail_or_lose_digits(name):
    torch = pytest.importorskip("torch")

    def symmetric(x):
        return x @ x.T + torch.eye(3, dtype=x.dtype)

    function = {
        "svd": lambda x: torch.linalg.svdvals(x),
        "eigh": lambda x: torch.linalg.eigvalsh(symmetric(x)),
        "cholesky": lambda x: torch.linalg.cholesky(symmetric(x)),
        "matrix_exp": lambda x: torch.linalg.matrix_exp(x),
        "half": lambda x: x.half(),
        "conjugate": lambda x: torch.view_as_real(torch.fft.ifft(x).resolve_conj()),
    }[name]
    x = torch.tensor(MATRIX + 0.3 * np.random.default_rng(0).normal(size=(3, 3)))
    result = gradcheck.check_gradients(function, x)
    assert result.outcome == "passed", result.findings
