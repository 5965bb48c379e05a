"""The step on two threads does what the step on one does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.transformer import threads
from gradcheck.plugins.transformer.gpt import GPT

import tinytorch
from tinytorch import Tensor, optim
from tinytorch.nn import functional as F


def loss(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits.reshape(-1, 13), ids.reshape(-1))


def plain(model: Any, batch: tuple[Tensor, ...], loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = threads.step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value


def train(how: Any, size: int, **options: Any) -> tuple[list[float], list[Any]]:
    tinytorch.manual_seed(0)
    model = GPT(13, 10, 2, 2, 8, tied=True, positions="sinusoidal", **options).double()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(5):
        ids = rng.integers(0, 13, (size, 11))
        batch = (Tensor(ids[:, :-1]), Tensor(ids[:, 1:]))
        losses.append(how(model, batch, loss, optimizer).item())
    return losses, [p._data for p in model.parameters()]


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_same_losses_and_weights(size: int) -> None:
    one, two = train(plain, size), train(threads.train, size)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-12)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_the_same_numbers_every_time() -> None:
    one, two = train(threads.train, 8), train(threads.train, 8)
    assert one[0] == two[0]


def test_dropout_is_taken_whole() -> None:
    one, two = train(plain, 4, dropout=0.3), train(threads.train, 4, dropout=0.3)
    assert one[0] == two[0]


def test_an_error_of_the_other_half_is_raised() -> None:
    model = GPT(13, 10, 1, 2, 8)
    ids = np.zeros((4, 10), np.int64)
    ids[3] = 99
    batch = (Tensor(ids), Tensor(ids))
    with pytest.raises(ValueError, match="99"):
        threads.train(model, batch, loss, optim.SGD(model.parameters(), lr=0.1))
