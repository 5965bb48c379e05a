"""Derived inputs keep what belongs together: named sizes, unique and valid indices; odd and even
lengths, and other arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from gradcheck.numerics.inputs.variant_arguments import other
from gradcheck.numerics.inputs.variants import derive
from gradcheck.yamlcases.inputs import draw_inputs, input_specs, repeats
from tests.support.numerics import check_op


def derived(
    inputs: Mapping[str, Any], *, seed: int = 0, **more: Any
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    specs, rng = input_specs(inputs), np.random.default_rng(seed)
    for kind, _, candidates in derive(specs, draw_inputs(specs, rng), rng, **more):
        for candidate in candidates:
            yield kind, candidate.arrays


def test_axes_of_one_name_stay_equal() -> None:
    inputs = {
        "x": ["B=3", "N=3"],
        "w": ["N"],
        "rows": ["B", 2],
        "n": {"shape": ["B"], "dtype": "int"},
    }
    shapes = set()
    for seed in range(10):
        for _, arrays in derived(inputs, seed=seed):
            b, n = arrays["x"].shape
            assert arrays["w"].shape == (n,)
            assert arrays["rows"].shape[0] == arrays["n"].shape[0] == b
            shapes.add((b, n))
    assert {(1, 3), (5, 3), (3, 5), (3, 1), (67, 3), (3, 67), (4, 3), (3, 4)} <= shapes


def test_without_names_equal_lengths_part() -> None:
    shapes = {(a["x"].shape, a["w"].shape) for _, a in derived({"x": [3, 3], "w": [3]})}
    assert ((3, 5), (3,)) in shapes


@pytest.mark.parametrize("high", ["V", 7])
def test_indices_stay_in_range(high: Any) -> None:
    inputs = {"table": ["V=7", 3], "ids": {"shape": [4], "dtype": "int", "high": high}}
    sizes = set()
    for seed in range(10):
        for _, arrays in derived(inputs, seed=seed):
            assert arrays["ids"].min() >= 0
            assert arrays["ids"].max() < len(arrays["table"])
            sizes.add(len(arrays["table"]))
    assert {1, 3, 8, 67} <= sizes


def test_declared_values_stay_in_range_too() -> None:
    ids = {"values": [6, 0, 2, 2], "dtype": "int", "high": "V"}
    for _, arrays in derived({"table": ["V=7", 3], "ids": ids}):
        assert arrays["ids"].max() < len(arrays["table"])


@pytest.mark.parametrize(
    ("shape", "unique", "axes"), [([4], True, (0,)), ([3, 4], 1, (1,)), ([2, 2, 3], [1, 2], (1, 2))]
)
def test_unique_indices_stay_unique(shape: list[int], unique: Any, axes: tuple[int, ...]) -> None:
    ids = {"shape": shape, "dtype": "int", "high": "V", "unique": unique}
    kinds = set()
    for seed in range(10):
        for kind, arrays in derived({"x": ["V=7", 3], "ids": ids}, seed=seed):
            assert not repeats(arrays["ids"], axes)
            assert arrays["ids"].max(initial=0) < len(arrays["x"])
            kinds.add(kind)
    assert "repeated" not in kinds
    assert {"long", "parity"} <= kinds


def scatter(x, ids, values):
    """Writes rows; with repeats the last wins, and the gradient is another."""
    out = x.copy()
    out[ids] = values

    def pullback(g):
        kept = g.copy()
        kept[ids] = 0
        return kept, None, g[ids]

    return out, pullback


def test_an_op_that_needs_unique_indices() -> None:
    def inputs(**more: Any) -> dict[str, Any]:
        ids = {"shape": ["K=2"], "dtype": "int", "high": "N", **more}
        return {"x": ["N=5", "C=3"], "ids": ids, "values": ["K", "C"]}

    for seed in range(5):
        result = check_op(scatter, inputs(unique=True), seed=seed)
        assert result.outcome == "passed", result.findings
        assert result.measurements["variants"] > 8
    assert check_op(scatter, inputs()).findings


def trusting(x, w):
    """Reads its weight by the width of x, as a kernel with raw pointers does."""
    assert w.shape == x.shape[1:], "outside its memory"
    return x * w, lambda g: (g * w, (g * x).sum(0))


def test_an_op_that_trusts_its_shapes() -> None:
    for seed in range(5):
        result = check_op(trusting, {"x": ["B=3", "N=3"], "w": ["N"]}, seed=seed)
        assert result.outcome == "passed"
        assert result.measurements["variants_dropped"] == 0


# --- odd and even, other arguments --------------------------------------------------------------


def median(x):
    """Right for an odd count only."""
    n = x.shape[-1]
    order = np.sort(x, -1)
    middle = (order[..., (n - 1) // 2] + order[..., n // 2]) / 2
    at = np.argsort(x, -1)[..., n // 2]

    def pullback(g):
        out = np.zeros_like(x)
        np.put_along_axis(out, at[..., None], g[..., None], -1)
        return out

    return middle, pullback


def only_even(x):
    """A pairing of neighbours that loses the last one of an odd count."""
    n = x.shape[-1] // 2 * 2
    y = x.copy()
    y[..., :n:2] *= 2
    odd = x.shape[-1] % 2

    def pullback(g):
        out = g.copy()
        out[..., :n:2] *= 2
        if odd and x.shape[-1] > 3:
            out[..., -1] = 0
        return out

    return y, pullback


@pytest.mark.parametrize(("op", "shape"), [(median, (2, 5)), (only_even, (2, 4))])
def test_the_other_parity_is_tried(op: Any, shape: tuple[int, ...]) -> None:
    for seed in range(3):
        first = check_op(op, {"x": shape}, seed=seed, variants=["parity"]).findings[0]
        assert first.code == "wrong_gradient"
        assert first.data["variant"] == "parity"


def elu(x, alpha: float = 1.0):
    e = np.exp(np.minimum(x, 0))
    return np.where(x > 0, x, alpha * (e - 1)), lambda g: g * np.where(x > 0, 1, e)


def elu_right(x, alpha: float = 1.0):
    e = np.exp(np.minimum(x, 0))
    return np.where(x > 0, x, alpha * (e - 1)), lambda g: g * np.where(x > 0, 1, alpha * e)


def padded(x, pad: tuple[int, int] = (1, 1)):
    return np.pad(x, pad), lambda g: g[pad[1] : len(g) - pad[0]]


def padded_right(x, pad: tuple[int, int] = (1, 1)):
    return np.pad(x, pad), lambda g: g[pad[0] : len(g) - pad[1]]


@pytest.mark.parametrize(
    ("op", "right", "said"), [(elu, elu_right, "alpha=0.7"), (padded, padded_right, "pad=(1, 2)")]
)
def test_a_default_hides_a_wrong_argument(op: Any, right: Any, said: str) -> None:
    for seed in range(3):
        first = check_op(op, {"x": (5,)}, seed=seed).findings[0]
        assert f"(variant: arguments {said})" in first.message
        assert f"args: {{{said.split('=')[0]}: " in first.data["case"]
        assert check_op(right, {"x": (5,)}, seed=seed).findings == ()
    assert check_op(op, {"x": (5,)}, skip_variants=["arguments"]).findings == ()


def test_other_values_of_arguments() -> None:
    tried = [2.0, 0.0, 1e-5, 1, -1, True, None, "mean", (1, 1), [2, 2, 2], (1, 2), (1,)]
    assert [other(v) for v in tried] == [
        1.4, 0.7, None, 2, 0, None, None, None, (1, 2), [2, 2, 3], None, None
    ]  # fmt: skip


def test_an_argument_without_a_default_stays() -> None:
    """It may be the size of an array, which native code trusts, switch something on, or be a value
    among the inputs."""

    def first(x, n: int, last: int | None = None, ignore_index: int = 0):
        assert (n, last, ignore_index) == (3, 4, 0)
        return x[:n].copy(), lambda g: np.concatenate([g, np.zeros(len(x) - n)])

    result = check_op(first, {"x": (5,)}, {"n": 3, "last": 4}, variants=["arguments"])
    assert result.outcome == "passed"
    assert result.measurements["variants"] == 0
