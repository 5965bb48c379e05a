"""Why a model does not memorise a batch: what `overfit` says, besides rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.nets import Net, plain_step
from tests.support.results import only
from tests.support.subjects import Bench
from tinytorch import Tensor

SEEDS = range(4)


class Cut(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(Tensor(np.tanh(self.first(x).data)))


class Late(Net):
    """NaN from the 80th forward on."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.__dict__["calls"] = self.calls + 1
        return super().forward(x) * (float("nan") if self.calls > 80 else 1.0)


def ascending(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    optimizer.zero_grad()
    value = plain_step(model, batch, loss)
    (-value).backward()
    optimizer.step()
    return value


def with_shuffled_labels(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
    labels = Tensor(np.roll(batch[1].data, 1))
    optimizer.zero_grad()
    value = loss(model(batch[0]), labels)
    value.backward()
    optimizer.step()
    return value


@pytest.mark.parametrize("seed", SEEDS)
def test_behind_a_cut_nothing_is_said_about_the_rate(bench: Bench, seed: int) -> None:
    result = bench.run("overfit", Cut, steps=40, below=1e-3, seed=seed)
    finding = only(result)
    assert finding.code == "not_overfit"
    assert "2 of 4 parameters get no gradient" in finding.message
    assert "nothing can be said about the rate" in finding.message
    assert finding.where.startswith("tests/checks/test_why_not_overfit.py:")
    assert "lr_sweep" not in result.figures


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_gradient_ascent(bench: Bench, name: str, seed: int) -> None:
    finding = only(
        bench.run(
            "overfit",
            Net,
            optimizer={"name": name, "lr": 0.01},
            step=plain_step,
            train=ascending,
            seed=seed,
        )
    )
    assert finding.code == "climbs"
    assert "the optimizer is given the negative of the gradient" in finding.message


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_decay_that_dominates(bench: Bench, name: str, seed: int) -> None:
    rate = 0.01 if name == "adamw" else 0.05
    optimizer = {"name": name, "lr": rate, "weight_decay": 10.0}
    goal = 0.5 if name == "adamw" else 0.9
    finding = only(bench.run("overfit", Net, optimizer=optimizer, steps=60, below=goal, seed=seed))
    assert finding.code == "decay_dominates"
    assert "the weight decay of 10 dominates" in finding.message
    healthy = {**optimizer, "weight_decay": 1e-3}
    result = bench.run("overfit", Net, optimizer=healthy, steps=60, below=1.4, seed=seed)
    assert result.outcome == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_that_trains_on_other_labels(bench: Bench, seed: int) -> None:
    finding = only(
        bench.run("overfit", Net, step=plain_step, train=with_shuffled_labels, below=0.3, seed=seed)
    )
    assert finding.code == "not_overfit"
    assert "it trains on another loss or on other labels" in finding.message
    assert "rate" not in finding.message


def test_a_loss_that_turns_to_nan_after_the_goal(bench: Bench) -> None:
    finding = only(bench.run("overfit", Late))
    assert finding.code == "loss_not_finite"
    assert "at step 7" in finding.message or "at step 8" in finding.message
    result = bench.run("overfit", Late, beyond=0)
    assert result.outcome == "passed"
    assert result.measurements["steps"] == 60


def test_how_far_it_looked(bench: Bench) -> None:
    result = bench.run("overfit", Net)
    assert result.outcome == "passed"
    assert result.measurements["steps"] == 90


def test_the_advice_leaves_room_to_the_cliff(bench: Bench) -> None:
    slow = {"name": "adam", "lr": 1e-5}
    result = bench.run("overfit", Net, optimizer=slow, steps=60, below=0.1)
    sweep = result.figures["lr_sweep"]
    final = dict(zip(sweep["lr"], sweep["final"]))
    advised = float(only(result).advice.split()[2].rstrip(","))
    best = min(final, key=lambda rate: final[rate])
    assert advised < best / 2
    assert min(abs(rate / advised - 1) for rate in final if final[rate] <= 0.1) < 0.1
