"""Models as others write them: named inputs, None, dict batches, results that hold their own loss.

Every check runs, or says why it cannot; what is wrong is found through them too.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest

from gradcheck import own_loss
from tests.support.results import codes, only
from tests.support.subjects import Bench
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

SEEDS = range(3)
CLASSES = 11


@dataclass
class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """As in a well-known library: a dict without the fields that are None, with attributes, and
    whole numbers as further keys."""

    loss: Any = None
    logits: Any = None
    past: Any = None

    def __post_init__(self) -> None:
        for f in fields(self):
            if getattr(self, f.name) is not None:
                OrderedDict.__setitem__(self, f.name, getattr(self, f.name))

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


class Dicts:
    """Samples by name: ids, a mask of padding, the labels."""

    def __init__(self, shift: int = 1, numbers: type = np.int64, texts: bool = False) -> None:
        rng = np.random.default_rng(4)
        self.ids = rng.integers(0, CLASSES, (32, 9)).astype(numbers)
        self.shift = shift
        self.texts = texts

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict[str, Any]:
        ids = self.ids[i]
        mask = np.arange(7) < 5 + i % 3
        sample = {"input_ids": ids[:7], "attention_mask": mask, "labels": ids[self.shift :][:7]}
        return {**sample, "text": f"sample {i}"} if self.texts else sample


class Language(nn.Module):
    """Each output is a weighted mean of the inputs so far, as far as the mask shows them."""

    ahead = False
    mixes = False

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(CLASSES, 6)
        self.head = nn.Linear(6, CLASSES)

    def forward(
        self, input_ids: Any = None, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> ModelOutput:
        rows = self.table(input_ids).tanh()
        length = rows.shape[1]
        shown = np.ones((length, length), bool) if self.ahead else np.tri(length, dtype=bool)
        if attention_mask is not None:
            shown = shown & (attention_mask.numpy()[:, None, :] | np.eye(length, dtype=bool))
        scores = Tensor(np.where(shown, 0.0, -np.inf).astype(rows.dtype))
        weights = F.softmax(scores, -1)
        mean = weights @ rows
        if self.mixes:
            mean = mean - mean.mean(0)
        logits = self.head(mean)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.reshape(-1, CLASSES), labels.reshape(-1))
        return ModelOutput(loss, logits, (rows, None))


def by_name(model: Any, batch: Any, loss: Any) -> Any:
    output = model(
        input_ids=batch["input_ids"], attention_mask=None, labels=batch["labels"], use_cache=False
    )
    return output.loss


def whole_output(model: Any, batch: Any, loss: Any) -> Any:
    return model(**batch)


def case_loss(model: Any, batch: Any, loss: Any) -> Any:
    logits = model(batch["input_ids"], batch["attention_mask"])["logits"]
    return loss(logits, batch["labels"])


def loss_and_logits(model: Any, batch: Any, loss: Any) -> Any:
    model.train()  # a step may set the mode
    output = model(**batch)
    return output.loss, output.logits


STEPS = {
    "by_name": by_name,
    "whole_output": whole_output,
    "case_loss": case_loss,
    "loss_and_logits": loss_and_logits,
    "own_loss": own_loss,
}
CHECKS = (
    "graph", "gradient", "updates", "init", "alignment", "causality", "batch_independence",
    "determinism", "accumulation", "multibatch", "loader", "overfit",
)  # fmt: skip


def run(bench: Bench, check: str, step: str, model: Any = Language, **more: Any) -> Any:
    bench.data("dicts", lambda **args: Dicts(**args))
    more = {"loss": "sequence_cross_entropy", "optimizer": {"name": "adam", "lr": 0.05}, **more}
    return bench.run(check, model, data="dicts", step=STEPS[step], **more)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("check", CHECKS)
def test_a_language_model_on_dicts(bench: Bench, step: str, check: str) -> None:
    options: dict[str, Any] = {"past": False} if check == "causality" else {}
    if check == "overfit":
        options = {"fraction": 0.97}  # the labels are drawn at random
    for seed in SEEDS:
        result = run(bench, check, step, seed=seed, **options)
        if check == "multibatch":
            assert codes(result) in ([], ["loss_not_falling"])
            continue
        assert result.findings == ()
        if check in ("causality", "batch_independence", "determinism"):
            assert result.outcome == "passed"


class Ahead(Language):
    ahead = True


class Mixes(Language):
    mixes = True


@pytest.mark.parametrize("step", STEPS)
def test_faults_are_seen_the_way_the_step_calls_the_model(bench: Bench, step: str) -> None:
    assert only(run(bench, "causality", step, Ahead)).code == "sees_future"
    assert only(run(bench, "batch_independence", step, Mixes)).code == "depends_on_batch"
    healthy = run(bench, "causality", step, past=False)
    assert (healthy.outcome, codes(healthy)) == ("passed", [])


@pytest.mark.parametrize("step", ["case_loss", "own_loss"])
def test_alignment_and_loader_read_dicts(bench: Bench, step: str) -> None:
    found = run(bench, "alignment", "case_loss", data_args={"shift": 2})
    assert only(found).code == "misaligned"
    assert run(bench, "alignment", "case_loss").outcome == "passed"
    assert run(bench, "loader", step).outcome == "passed"


@pytest.mark.parametrize("check", ["graph", "causality", "accumulation", "loader"])
def test_int32_ids_and_texts_in_a_batch(bench: Bench, check: str) -> None:
    more: dict[str, Any] = {"data_args": {"numbers": np.int32, "texts": True}}
    options = {"past": False} if check == "causality" else {}
    result = run(bench, check, "by_name", **more, **options)
    assert (result.outcome, result.findings) == ("passed", ())


class Pairs:
    """Samples ((left, right), label)."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, i: int) -> Any:
        rng = np.random.default_rng(i)
        left, right = rng.standard_normal((2, 8)).astype("f4")
        return ({"left": left, "right": (right, None)}, i % 5)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(8, 5)
        self.last = nn.Linear(16, 5)

    def forward(self, pair: Any) -> Any:
        return self.last(self.first(pair["left"]).tanh()) + self.second(pair["right"][0])


@pytest.mark.parametrize(
    "check", ["graph", "gradient", "init", "batch_independence", "determinism", "loader", "updates"]
)
def test_nested_samples(bench: Bench, check: str) -> None:
    bench.data("pairs", Pairs)
    result = bench.run(check, Two, data="pairs")
    assert (result.outcome, result.findings) == ("passed", ())


class Adversaries(nn.Module):
    """Never called as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = nn.Linear(8, 8), nn.Linear(8, 1)


def adversarial(model: Any, batch: Any, loss: Any) -> Any:
    made = model.generator(batch[0]).tanh()
    return F.softplus(model.critic(made)).mean() + F.softplus(-model.critic(batch[0])).mean()


@pytest.mark.parametrize("check", ["causality", "batch_independence", "determinism"])
def test_what_cannot_be_asked_is_not_judged(bench: Bench, check: str) -> None:
    result = bench.run(check, Adversaries, step=adversarial)
    assert result.outcome == "skipped"
    assert result.reason is not None
    assert result.reason.startswith("not judged: the training step never calls the model itself")
    for other in ("graph", "gradient", "updates", "init"):
        assert bench.run(other, Adversaries, step=adversarial).findings == ()


class Nothing(Adversaries):
    def forward(self, x: Any) -> Any:
        return {"made": None, "name": "nothing"}


def test_an_output_without_tensors_is_not_judged(bench: Bench) -> None:
    result = bench.run("batch_independence", Nothing, step=adversarial)
    assert result.reason == "not judged: the model returns dict, which holds no tensor"


def test_a_step_that_returns_nothing_is_told(bench: Bench) -> None:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        adversarial(model, batch, loss).backward()
        optimizer.step()

    found = only(bench.run("updates", Adversaries, step=adversarial, train=train))
    assert found.message == "the training step of model_here returns None; let it return the loss"
