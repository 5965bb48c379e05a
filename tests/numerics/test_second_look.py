"""Correct functions that fixed steps take for wrong ones, each found by drawing random programs."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.frameworks.protocol import Precision
from gradcheck.frameworks.tinytorch import TinyTorch
from tests.support.numerics import check_op
from tests.support.results import codes
from tinytorch import OPS, Tensor, op

WIDE = np.array([[2e-8, 5e-7, 12.0], [2e49, 4e-4, 4e2], [1.4e13, 3.8, 2.7e-11]])
"""Rows of one tensor, 50 decades apart."""


class Single(TinyTorch):
    """Computes in float32 and records no calls."""

    precision = Precision("float32", "float32")
    tape = None  # type: ignore[assignment]


def attention(x: Tensor) -> Tensor:
    scores = OPS["matmul"](x, OPS["transpose"](x, -1, -2))
    return OPS["matmul"](OPS["softmax"](scores, -1), x)


DOUBLE = {
    "rows of very different size": (lambda x: OPS["rms_norm"](x, eps=1e-6), WIDE),
    "a wave far shorter than the steps": (
        lambda x: OPS["sin"](x),
        np.random.default_rng(4).standard_normal((5, 5)) * 1e9,
    ),
    "a gradient that is nothing but rounding": (
        lambda x: OPS["layer_norm"](OPS["expand"](OPS["sin"](x), (1, 5))),
        np.array([[-1.8e-8]]),
    ),
    "a constant column": (lambda x: OPS["var"](x + np.zeros((7, 1)), 0), np.array([3e5, -2e4])),
    "a saturated softmax": (attention, np.array([[5e3, 2.0], [1e-3, 9e3], [1e-7, 1.0]])),
    "squares that underflow": (lambda x: OPS["mul"](x, x), np.array([1e-300, 1.0, -1e-305])),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DOUBLE)
def test_no_alarm_in_float64(name, seed):
    fn, x = DOUBLE[name]
    assert codes(check_gradients(fn, x, seed=seed)) in ([], ["undecided"])


def test_kinks_of_one_entry_whose_bends_cancel():
    """One number against many, two of them tied with it: the cotangents have either sign."""
    for seed in range(40):
        b = np.array([1.0, 1.0 - 1e-12, 1.0, 1.0 + 1e-13, 0.3, 1e-9])
        result = check_op(
            "maximum",
            {"a": {"values": 1.0}, "b": {"values": b.tolist()}},
            seed=seed,
            variants=False,
        )
        assert codes(result) == [], (seed, result.findings)


SINGLE = {
    "sine of a million": (lambda x: OPS["sin"](x), 1e6),
    "saturated attention": (attention, 300.0),
    "layer norm of one row": (lambda x: OPS["layer_norm"](1000.0 * x), 1e-4),
    "normalised wave": (lambda x: OPS["log_softmax"](OPS["sin"](x), -1), 3e5),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", SINGLE)
def test_no_alarm_in_float32(name, seed):
    fn, scale = SINGLE[name]
    x = (scale * np.random.default_rng(seed).standard_normal((3, 5))).astype(np.float32)
    assert codes(check_gradients(fn, x, framework=Single(), seed=seed)) in ([], ["undecided"])


@op
def wrong_for_the_small(x):
    return x * x, lambda g: g * np.where(np.abs(x) < 1e-3, 2.02, 2.0) * x


@op
def doubled(x):
    return np.sin(x), lambda g: 2 * g * np.cos(x)


def test_an_entry_of_another_size_that_is_wrong_stays_wrong():
    result = check_op(wrong_for_the_small, {"x": {"values": [[1e-4, 3.0, -7.0]]}}, variants=False)
    assert codes(result) == ["wrong_gradient"]
    assert result.findings[0].index == (0, 0)


@pytest.mark.parametrize("framework", [TinyTorch(), Single()], ids=["float64", "float32"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_a_wrong_gradient_is_seen_at_every_scale(framework, scale):
    x = scale * np.random.default_rng(0).standard_normal((3, 4))
    result = check_gradients(lambda v: doubled(v / scale), x, framework=framework)
    assert codes(result) == ["wrong_gradient"]
    assert result.findings[0].relative_error == pytest.approx(0.5, abs=0.05)
