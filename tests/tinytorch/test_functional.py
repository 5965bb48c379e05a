"""nn.functional where it does more than call an op: dropout's mask, running moments, one_hot."""

from __future__ import annotations

import numpy as np
import pytest

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch import Tensor


def test_dropout_zeroes_a_share_and_scales_the_rest() -> None:
    tt.manual_seed(0)
    y = F.dropout(tt.ones(100, 100), 0.3)
    assert sorted(set(y.data.ravel().tolist())) == [0.0, pytest.approx(1 / 0.7)]
    assert (y.data == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert y.dtype == np.float32


def test_dropout_repeats_with_the_seed_only() -> None:
    x = tt.ones(50)
    tt.manual_seed(1)
    first, second = F.dropout(x).tolist(), F.dropout(x).tolist()
    tt.manual_seed(1)
    assert F.dropout(x).tolist() == first != second


def test_dropout_does_nothing_in_evaluation() -> None:
    x = tt.ones(50)
    assert F.dropout(x, 0.9, training=False) is x
    assert F.dropout(x, 1.0).tolist() == [0.0] * 50


def test_the_gradient_of_dropout_uses_the_same_mask() -> None:
    x = tt.ones(50, requires_grad=True)
    y = F.dropout(x, 0.4)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == y.tolist()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_running_moments_move_as_in_pytorch(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    mean, var = rng.standard_normal(3), rng.random(3) + 0.5
    ours, theirs = (tt.tensor(mean), tt.tensor(var)), (torch.tensor(mean), torch.tensor(var))
    for training in (True, True, False):
        x = rng.standard_normal(shape)
        y = F.batch_norm(Tensor(x), *ours, None, None, training, 0.3)
        expected = torch.nn.functional.batch_norm(
            torch.tensor(x), *theirs, None, None, training, 0.3
        )
        np.testing.assert_allclose(y.data, expected.numpy(), rtol=1e-12)
        for a, b in zip(ours, theirs):
            np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-12)


def test_one_hot_like_pytorch() -> None:
    torch = pytest.importorskip("torch")
    ids = np.array([[0, 2], [1, 1]])
    for classes in (-1, 5):
        y = F.one_hot(Tensor(ids), classes)
        expected = torch.nn.functional.one_hot(torch.tensor(ids), classes)
        assert y.dtype == np.int64
        assert y.tolist() == expected.tolist()
