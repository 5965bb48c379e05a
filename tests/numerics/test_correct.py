"""Correct things pass: a check that cries wolf is switched off."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.numerics import check_model, check_op
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

KINK = [0.0, 1e-12, -1e-9, 1e-7, -1e-5, 3e-4, -0.01, 0.0]


@pytest.mark.parametrize("name", ["relu", "abs", "leaky_relu"])
def test_at_and_next_to_a_kink(name):
    result = check_op(name, {"x": {"values": KINK}})
    assert result.outcome == "passed", result.findings
    assert result.measurements["undecided"] == 0


def test_a_slope_outside_the_kink_is_wrong():
    def relu_with_slope_two_at_zero(x):
        return np.maximum(x, 0), lambda g: g * np.where(x == 0, 2.0, x > 0)

    result = check_op(relu_with_slope_two_at_zero, {"x": {"values": KINK}}, variants=False)
    assert result.findings[0].index in {(0,), (7,)}


def test_a_wrong_slope_next_to_a_kink():
    def relu_wrong_below_a_millionth(x):
        return np.maximum(x, 0), lambda g: g * np.where(np.abs(x) < 1e-6, 0.5, x > 0)

    result = check_op(relu_wrong_below_a_millionth, {"x": {"values": KINK}}, variants=False)
    assert result.outcome == "failed"
    assert result.findings[0].index in {(1,), (2,), (3,)}


@pytest.mark.parametrize(
    ("name", "inputs", "args"),
    [
        ("maximum", {"a": {"values": [1.0, 2.0, 2.0]}, "b": {"values": [1.0, 2.0, 3.0]}}, {}),
        ("max", {"x": {"values": [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]]}}, {"dim": -1}),
        ("softmax", {"x": (2, 5)}, {"dim": -1}),
        ("softmax", {"x": (1, 7)}, {"dim": -1}),
        ("log_softmax", {"x": {"shape": (3, 4), "scale": 30.0}}, {"dim": -1}),
        ("sin", {"x": {"shape": (5,), "scale": 1e4}}, {}),
        ("sin", {"x": {"shape": (5,), "scale": 1e-8}}, {}),
        ("exp", {"x": {"shape": (3, 4), "scale": 30.0}}, {}),
        ("tanh", {"x": {"shape": (4,), "scale": 30.0}}, {}),
        ("log", {"x": {"shape": (4,), "low": 1e-6, "high": 1e-3}}, {}),
        ("tanh", {"x": (1, 3, 7)}, {}),
        ("tanh", {"x": ()}, {}),
        ("layer_norm", {"x": (3, 1), "weight": (1,), "bias": (1,)}, {}),
    ],
)  # fmt: skip
def test_op_passes(name, inputs, args):
    for seed in range(3):
        result = check_op(name, inputs, args, seed=seed)
        assert result.outcome == "passed", result.findings


class Mixed(nn.Module):
    """Embedding with unused rows, a key bias without gradient, batch norm, dropout, tied weights,
    gradients of very different size, ReLU and pooling with ties."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.small, self.large = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, ids):
        h = self.table(ids)  # (2, 5, 8)
        scores = self.query(h) @ self.key(h).transpose(-1, -2) * 8**-0.5
        h = h + F.softmax(scores, -1) @ self.value(h)
        h = self.drop(F.relu(self.norm(h.reshape(-1, 8))))
        h = h + 1e-8 * self.small(h) + 1e4 * self.large(h).tanh()
        return F.softmax(h @ self.table.weight.transpose(0, 1), -1)


def step(model, batch, loss):
    ids = Tensor(np.array([[1, 2, 2, 3, 4], [9, 9, 1, 0, 2]]))
    return (model(ids) ** 2).mean()


@pytest.mark.parametrize("seed", range(5))
def test_a_model_of_awkward_pieces(seed):
    result = check_model(Mixed, step, seed=seed)
    assert result.outcome == "passed", result.findings


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3 * 9, 4)

    def forward(self, images):
        h = F.max_pool2d(F.relu(self.first(images)), 2)
        return self.second(h.reshape(images.shape[0], -1))


@pytest.mark.parametrize("seed", range(5))
def test_a_network_with_thousands_of_kinks(seed):
    def classify(model, batch, loss):
        rng = np.random.default_rng(seed)
        images = np.maximum(rng.standard_normal((8, 1, 6, 6)), 0)  # half of them exactly zero
        return F.cross_entropy(model(Tensor(images)), Tensor(rng.integers(0, 4, 8)))

    result = check_model(Pooled, classify, seed=seed)
    assert result.outcome == "passed", result.findings


def test_the_certificate_counts_every_entry():
    result = check_model(Mixed, step)
    assert result.measurements["inputs_by_direction"] == 0
    assert result.measurements["entries_verified"] > result.measurements["leaf_entries"]
    assert result.measurements["smallest_error_seen"] < 1e-6
    assert result.measurements["replayed"]
