"""The figures of the post-mortem, on its model: 2 layers, width 128, 4 heads, 32 positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.text import datasets
from gradcheck.plugins.transformer.gpt import GPT

import tinytorch
from tinytorch import Tensor, optim
from tinytorch.nn import functional as F

VOCAB, BATCH = 65, 4


class Run:
    """A fresh model, Adam at 1e-2, and batches of Shakespeare (generated stories without it)."""

    def __init__(self) -> None:
        data = datasets.shakespeare(context=32)
        order = np.random.default_rng(0).permutation(len(data))
        self.batches = [
            tuple(
                Tensor(np.stack(field))
                for field in zip(*(data[int(i)] for i in order[s : s + BATCH]), strict=True)
            )
            for s in range(0, 3 * BATCH, BATCH)
        ]
        tinytorch.manual_seed(0)
        self.model = GPT(VOCAB, 32, layers=2, heads=4, width=128)
        self.optimizer = optim.Adam(self.model.parameters(), lr=1e-2)

    def step(self, batch: Any) -> float:
        """One update; the loss before it."""
        ids, targets = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(ids).reshape(-1, VOCAB), targets.reshape(-1))
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


def test_all_parameters_are_reached_and_move() -> None:
    run = Run()
    before = {n: p._data.copy() for n, p in run.model.named_parameters()}
    run.step(run.batches[0])
    for name, p in run.model.named_parameters():
        assert p.grad is not None, name
        assert np.any(p.grad), name
        assert np.any(p._data != before[name]), name


def test_one_batch() -> None:
    run = Run()
    losses = [run.step(run.batches[0]) for _ in range(51)]
    assert losses[0] == pytest.approx(math.log(VOCAB), rel=0.05)
    assert losses[10] < 0.73  # after 10 updates
    assert losses[50] < 0.02 * losses[0]


def test_three_batches() -> None:
    run = Run()
    rounds = [[run.step(batch) for batch in run.batches] for _ in range(4)]
    assert np.mean(rounds[-1]) < (1 - 0.38) * np.mean(rounds[0])
    assert np.mean(rounds[-1]) < (1 - 0.38) * rounds[0][0]
