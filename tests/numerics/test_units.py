"""The parts, one by one, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.numerics.core import differences
from gradcheck.numerics.core.differences import (
    Precision,
    measured_noise,
    scale_of,
    sixth_difference,
    slope,
)
from gradcheck.numerics.core.verdict import OPEN, RIGHT, WRONG, compare
from gradcheck.numerics.ops import sparsity
from gradcheck.numerics.telling.diagnose import diagnose


def pairs(fn, x, h, count):
    return [np.array([fn(x + k * h) - fn(x - k * h)]) for k in range(1, count + 1)]


@pytest.mark.parametrize(("count", "order"), [(1, 2), (2, 4), (3, 6)])
def test_a_stencil_converges_with_its_order(count, order):
    errors = []
    for h in (0.2, 0.1):
        found = slope(pairs(np.exp, 0.3, h, count), np.array([h]))[0]
        errors.append(abs(found - np.exp(0.3)))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_the_sixth_difference_measures_noise_and_not_a_smooth_function():
    rng = np.random.default_rng(0)
    h, sigma = 1e-3, 1e-9
    found = []
    for _ in range(400):
        f = {k: np.sin(0.4 + k * h) + sigma * rng.standard_normal() for k in range(-3, 4)}
        sums = [np.array([f[k] + f[-k] - 2 * f[0]]) for k in (1, 2, 3)]
        found.append(sixth_difference(sums)[0])
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(sigma, rel=0.15)


def test_measured_noise():
    rng = np.random.default_rng(0)
    t = np.arange(4000) * 1e-6
    assert measured_noise(np.sin(t) + 1e-7 * rng.standard_normal(4000)) == pytest.approx(
        1e-7, rel=0.1
    )


def test_scale_of_ignores_zeros_and_overflow():
    assert scale_of(np.array([0.0, 3.0, -3.0])) == pytest.approx(3.0)
    assert scale_of(np.array([1e200, 1e200])) == pytest.approx(1e200)
    assert scale_of(np.zeros(3)) == 1.0


def test_float32_gets_the_tolerance_that_its_rounding_allows():
    assert Precision().relative == 1e-9
    assert 1e-5 < Precision.of("float32", "float32").relative < 1e-4
    assert Precision.of("float64", "float32").relative > 1e-6


class Function:
    """n copies of one function as lines."""

    def __init__(self, fn, x, sigma=0.0, seed=0):
        self.fn, self.x, self.size = fn, x, x.size
        self.sigma, self.rng = sigma, np.random.default_rng(seed)
        self.evaluations = 0

    def noise(self):
        return 2.2e-16 * np.abs(self.fn(self.x))

    def __call__(self, offsets, h, active):
        self.evaluations += len(offsets)
        x = self.x[active]
        out = np.stack([self.fn(x + k * h[active]) - self.fn(x) for k in offsets])
        return out + self.sigma * self.rng.standard_normal(out.shape)


def test_errors_down_to_1e_8_are_seen_and_right_slopes_pass():
    x = np.linspace(0.1, 3.0, 50)
    for error, state in ((0.0, RIGHT), (3e-8, WRONG), (1e-3, WRONG)):
        lines = Function(np.exp, x)
        found = compare(lines, np.exp(x) * (1 + error), np.ones(50), Precision())
        assert (found.state == state).all()


def test_noise_is_not_called_an_error():
    x = np.linspace(0.1, 3.0, 2000)
    for sigma in (1e-14, 1e-11, 1e-8, 1e-5):
        lines = Function(np.sin, x, sigma)
        found = compare(lines, np.cos(x), np.ones(2000), Precision())
        assert not (found.state == WRONG).any()


def test_an_error_above_the_noise_is_seen_through_it():
    x = np.linspace(0.1, 1.0, 200)
    found = compare(Function(np.exp, x, 1e-11), np.exp(x) * 1.001, np.ones(200), Precision())
    assert (found.state == WRONG).mean() > 0.95


def test_a_jump_is_no_wrong_slope():
    found = compare(
        Function(lambda x: np.sign(x - 1e-12), np.zeros(1)),
        np.array([1e8]),
        np.ones(1),
        Precision(),
    )
    assert found.state[0] == OPEN


def colours(fn, x, seed=0):
    x = np.asarray(x, dtype=np.float64)

    def many(values):
        return np.stack([np.asarray(fn(v)).reshape(-1) for v in values])

    return sparsity.find(many, x, many(x[None])[0], np.random.default_rng(seed))


def jacobian_of_colouring(found, fn, x, h=1e-6):
    """The full Jacobian (outputs, entries), recovered from one evaluation a colour."""
    base = np.asarray(fn(x)).reshape(-1)
    out = np.zeros((base.size, x.size))
    for number in range(found.colours):
        moved = x + h * (found.colour_of == number).reshape(x.shape)
        change = (np.asarray(fn(moved)).reshape(-1) - base) / h
        owner = np.full(base.size, number) if found.dense else found.owners(np.array([number]))[0]
        for j in np.flatnonzero(owner < x.size):
            out[j, owner[j]] += change[j]
    return out


rng = np.random.default_rng(1)
W = rng.standard_normal((4, 3))
IDS = np.array([[0, 2, 2], [4, 0, 1]])
CASES = {
    "elementwise": (np.tanh, (3, 5), 1),
    "rows": (lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), (6, 4), 4),
    "columns": (lambda x: x - x.mean(0), (4, 6), 4),
    "matrix": (lambda x: x @ W, (5, 4), 4),
    "embedding": (lambda x: x[IDS], (5, 3), 1),
    "transpose": (lambda x: np.swapaxes(x, 0, 1), (3, 4, 2), 1),
    "flip": (lambda x: x[::-1] * 2, (5,), 1),
    "mean": (np.mean, (2, 3), 6),
    "swallows nan": (lambda x: np.where(x > 0, x, 0.0), (4, 4), 1),
    "window": (lambda x: x[..., :-2] + 2 * x[..., 1:-1] * x[..., 2:], (2, 9), 3),
    "blocks": (
        lambda x: np.tanh(x.reshape(3, 2, 4).cumsum(-1)).reshape(3, 8) * 1.0, (3, 8), 4
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_colouring_gives_the_whole_jacobian(name):
    fn, shape, expected = CASES[name]
    x = rng.standard_normal(shape)
    found = colours(fn, x)
    assert found.colours == expected
    dense = jacobian_of_colouring(sparsity.dense(shape, np.asarray(fn(x)).size), fn, x)
    assert np.allclose(jacobian_of_colouring(found, fn, x), dense, atol=1e-8)


def test_a_pattern_learnt_at_one_call_is_not_believed_at_another():
    known: sparsity.Known = {}
    x = rng.standard_normal((6, 6))
    one = lambda v: np.tanh(v).reshape(len(v), -1)  # noqa: E731
    mixed = lambda v: (v[:, ::-1] + v).reshape(len(v), -1)  # noqa: E731
    sparsity.find(one, x, one(x[None])[0], rng, known, "key")
    found = sparsity.find(mixed, x, mixed(x[None])[0], rng, known, "key")
    assert found.colours > 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda n: -n, "sign"),
        (lambda n: 2 * n, "factor of 2"),
        (lambda n: n / 32, "0.03125"),
        (lambda n: n.T, "transpose"),
        (lambda n: 0 * n, "exactly zero"),
        (lambda n: n + 0.25, "a constant is missing"),
    ],
)
def test_diagnosis(change, text):
    numeric = np.random.default_rng(0).standard_normal((4, 4))
    found, _ = diagnose(change(numeric), numeric)
    assert found is not None
    assert text in found


def test_a_wrong_row_is_diagnosed():
    numeric = np.random.default_rng(0).standard_normal((4, 5))
    analytic = numeric.copy()
    analytic[2] *= np.arange(2, 7)
    assert diagnose(analytic, numeric)[0] == "wrong only at index 2 of axis 0"


def test_module_names():
    assert differences.SLOPE[2] == (2 / 3, -1 / 12)
    assert differences.Precision().double
