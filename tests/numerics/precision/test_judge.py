"""The verdict on a leaf that is not about its factor."""

from __future__ import annotations

import numpy as np

from gradcheck.numerics.precision.judge import judge
from gradcheck.numerics.precision.projection import Pair
from gradcheck.numerics.precision.runs import Track


def verdict(pairs: list[Pair], eager: list[Pair] | None = None, dtype: str = "bfloat16"):
    rng = np.random.default_rng(1)
    other = rng.standard_normal((8, 8))
    tracks = {"x": Track(pairs, eager or []), "y": Track([Pair(other, other)])}
    return next(v for v in judge(tracks, dtype) if v.name == "x")


def test_too_few_numbers_decide_nothing():
    found = verdict([Pair(np.array([1.0]), np.array([1.0]))] * 2)
    assert found.kind is None
    assert found.blind


def test_where_the_right_gradient_is_zero():
    zeros = np.zeros((8, 8))
    assert verdict([Pair(zeros, zeros)]).zero
    assert verdict([Pair(zeros, zeros)]).kind is None
    assert verdict([Pair(zeros + 1e-3, zeros)], dtype="float32").kind == "not_zero"
    assert verdict([Pair(zeros + 1e-8, zeros)], dtype="float32").kind is None


def test_noise_of_the_eager_reference_is_excused():
    rng = np.random.default_rng(0)
    right = [rng.standard_normal((32, 32)) for _ in range(8)]
    noisy = [Pair(r + 0.2 * rng.standard_normal(r.shape), r) for r in right]
    theirs = [Pair(r + 0.2 * rng.standard_normal(r.shape), r) for r in right]
    assert verdict(noisy).kind == "imprecise"
    assert verdict(noisy, theirs).kind is None


def test_a_number_that_is_not_finite():
    right = np.ones((4, 4))
    low = right.copy()
    low[2, 2] = np.nan
    assert verdict([Pair(low, right)]).kind == "not_finite"
    assert verdict([Pair(low, right)], [Pair(low, right)]).kind is None
