"""Models that return several tensors, steps that make a scheduler, losses that only look like a
cross-entropy: nothing of it is a fault, and a fault in it is still seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.support.nets import Net, plain_step
from tests.support.results import codes, only
from tests.support.subjects import Bench
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F
from tinytorch.optim.lr_scheduler import StepLR

SEEDS = range(4)


@dataclass
class Output:
    logits: Tensor
    hidden: Any


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "dict": lambda a, b: {"logits": a, "hidden": [b, None]},
    "dataclass": Output,
}


def first(output: Any) -> Any:
    if isinstance(output, dict):
        return output["logits"]
    return output.logits if isinstance(output, Output) else output[0]


def step(model: Any, batch: Any, loss: Any) -> Any:
    return loss(first(model(batch[0])), batch[1])


CHECKS = ("init", "determinism", "batch_independence", "overfit")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", WAYS)
def test_several_outputs_are_no_fault(bench: Bench, way: str, seed: int) -> None:
    class Several(Net):
        def forward(self, x: Tensor) -> Any:
            hidden = self.first(x).relu()
            return WAYS[way](self.second(hidden), hidden)

    for check in CHECKS:
        result = bench.run(check, Several, step=step, seed=seed)
        assert result.outcome == "passed", (check, result.findings)
    # the loss may take them all
    result = bench.run(
        "init", Several, loss=lambda out, y: F.cross_entropy(first(out), y), seed=seed
    )
    assert result.outcome == "passed", result.findings


@pytest.mark.parametrize("way", WAYS)
def test_faults_in_several_outputs_are_seen(bench: Bench, way: str) -> None:
    class Mixes(Net):
        def forward(self, x: Tensor) -> Any:
            hidden = self.first(x)
            return WAYS[way](self.second(hidden - hidden.mean(0)), hidden)

    class NoisyBeside(Net):
        """The second output alone is random in eval mode."""

        def forward(self, x: Tensor) -> Any:
            hidden = self.first(x)
            return WAYS[way](self.second(hidden), F.dropout(hidden, 0.5, training=True))

    found = bench.run("batch_independence", Mixes, step=step)
    assert only(found).code == "depends_on_batch"
    assert codes(bench.run("determinism", NoisyBeside, step=step)) == ["random_in_eval"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ahead", [False, True])
def test_sequences_among_several_outputs(bench: Bench, way: str, ahead: bool) -> None:
    class Sums(nn.Module):
        """Each output is the mean of the inputs so far, or of all of them."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(11, 11)

        def forward(self, ids: Tensor) -> Any:
            rows = self.table(ids)
            length = rows.shape[1]
            mask = np.ones((length, length)) if ahead else np.tri(length)
            weights = (mask / mask.sum(1, keepdims=True)).astype(rows.dtype)
            return WAYS[way](Tensor(weights) @ rows, rows)

    args: dict[str, Any] = {"data": "texts", "loss": "sequence_cross_entropy", "step": step}
    result = bench.run("causality", Sums, **args)
    assert codes(result) == (["sees_future"] if ahead else [])
    assert bench.run("alignment", Sums, **args).outcome == "passed"


def scheduled(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    scheduler = StepLR(optimizer, step_size=3)
    optimizer.zero_grad()
    result = plain_step(model, batch, loss)
    result.backward()
    optimizer.step()
    scheduler.step()
    return result


def tripled(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    scheduler = StepLR(optimizer, step_size=3)
    result = plain_step(model, batch, loss)
    result.backward()  # gradients are never cleared
    optimizer.step()
    scheduler.step()
    return result


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("check", ["updates", "multibatch", "accumulation"])
def test_a_step_may_make_a_scheduler(bench: Bench, check: str, seed: int) -> None:
    result = bench.run(check, Net, step=plain_step, train=scheduled, seed=seed)
    assert result.outcome == "passed", result.findings


def test_a_fault_beside_a_scheduler_is_seen(bench: Bench) -> None:
    assert bench.run("updates", Net, step=plain_step, train=tripled).outcome == "failed"


@pytest.mark.parametrize("seed", SEEDS)
def test_init_judges_cross_entropies_only(bench: Bench, seed: int) -> None:
    def contrastive(out: Tensor, y: Tensor) -> Tensor:
        """Rows against each other: the targets play no part."""
        return F.cross_entropy(out @ out.transpose(0, 1) * 30.0, Tensor(np.arange(len(y))))

    def far(out: Tensor, y: Tensor) -> Tensor:
        return ((out - 0.1) ** 2).mean() * 0.01

    for loss in (contrastive, far):
        assert bench.run("init", Net, loss=loss, seed=seed).outcome == "passed"

    def averaged_twice(out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(out, y) / len(y)

    found = bench.run("init", Net, loss=averaged_twice, seed=seed)
    assert only(found).code == "first_loss_low"
