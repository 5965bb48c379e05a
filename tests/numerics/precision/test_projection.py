"""The factor of a noisy gradient: seen when it is wrong, never when only rounding differs."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.numerics.precision.dtypes import EPS, LOW_DTYPES, quantise
from gradcheck.numerics.precision.projection import Pair, parts, whole

SEEDS = range(20)
SEEN = {"float32": 3e-7, "float16": 3e-4, "bfloat16": 2e-3}


def rounded(rng: np.random.Generator, dtype: str, shape=(64, 64), draws: int = 12) -> list[Pair]:
    """Right gradients, and the same rounded twice, as a kernel with one intermediate does."""
    right = [rng.standard_normal(shape) for _ in range(draws)]
    scale = [rng.uniform(0.5, 2.0, shape) for _ in range(draws)]
    return [Pair(quantise(quantise(r / s, dtype) * s, dtype), r) for r, s in zip(right, scale)]


def rows_rounded(rng: np.random.Generator, dtype: str) -> list[Pair]:
    """Each row shares a statistic that was rounded, as the deviation of a layer norm is."""
    right = [rng.standard_normal((64, 64)) for _ in range(12)]
    shared = [1 + EPS[dtype] * rng.uniform(-0.5, 0.5, (64, 1)) for _ in range(12)]
    return [Pair(quantise(r * s, dtype), r) for r, s in zip(right, shared)]


def wrong(pairs: list[Pair], dtype: str) -> bool:
    return whole(pairs, dtype).wrong or any(p.wrong for p in parts(pairs, dtype))


@pytest.mark.parametrize("dtype", LOW_DTYPES)
def test_rounding_is_not_accused(dtype):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        assert not wrong(rounded(rng, dtype), dtype)
        assert not wrong(rows_rounded(rng, dtype), dtype)


@pytest.mark.parametrize("shape", [(1, 1031), (7, 3), (2, 4, 9, 5), (40,)])
@pytest.mark.parametrize("dtype", LOW_DTYPES)
def test_rounding_of_odd_shapes_is_not_accused(dtype, shape):
    for seed in SEEDS:
        assert not wrong(rounded(np.random.default_rng(seed), dtype, shape), dtype)


@pytest.mark.parametrize("dtype", LOW_DTYPES)
def test_a_wrong_factor_is_seen_and_known(dtype):
    for seed in SEEDS:
        pairs = rounded(np.random.default_rng(seed), dtype)
        factor = 1 + SEEN[dtype]
        found = whole([Pair(p.low * factor, p.right) for p in pairs], dtype)
        assert found.wrong
        assert abs(found.error - SEEN[dtype]) < found.bar


@pytest.mark.parametrize("dtype", LOW_DTYPES)
def test_a_wrong_row_is_seen_where_it_is(dtype):
    for seed in SEEDS:
        pairs = rounded(np.random.default_rng(seed), dtype)
        for p in pairs:
            p.low[5] *= 1.02
        found = [p for p in parts(pairs, dtype) if p.wrong]
        assert (0, (5, 6)) in [(p.axis, p.where) for p in found]
        # a block that holds the row may be off too; no other row is
        assert all(p.where[0] <= 5 < p.where[1] for p in found if p.axis == 0)


def test_one_dominating_number_decides_nothing():
    right = np.full((64,), 1e-9)
    right[3] = 1.0
    low = right * (1 + EPS["bfloat16"])
    assert whole([Pair(low, right)], "bfloat16").bar == np.inf


def test_a_zero_gradient_has_no_factor():
    assert whole([Pair(np.ones(4), np.zeros(4))], "float32").bar == np.inf


@pytest.mark.parametrize("dtype", LOW_DTYPES)
def test_where_a_row_is_zero(dtype):
    """Its rounding in float64 has no factor; but nothing else may stand there."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        pairs = rounded(rng, dtype)
        for p in pairs:
            p.right[3] = 1e-17 * rng.standard_normal(64)
            p.low[3] = 1e-9 * rng.standard_normal(64)
        assert not wrong(pairs, dtype)
        for p in pairs:
            p.low[3] = 0.6 * rng.standard_normal(64)
        found = [p for p in parts(pairs, dtype) if p.wrong and p.zero]
        assert [(p.axis, p.where) for p in found] == [(0, (3, 4))]
