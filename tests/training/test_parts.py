"""Schedule, clipping, evaluation, gate and curve by themselves."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradcheck.names import load as plugins
from gradcheck.names.registry import Registry
from gradcheck.probe.from_case import CaseSubject
from gradcheck.training.curve import curve_page
from gradcheck.training.gate import examine
from gradcheck.training.history import History
from gradcheck.training.schedule import Rates, factor
from gradcheck.training.trainer import Trainer
from gradcheck.yamlcases.case import Case, DataSpec, Named, ScheduleSpec, TrainSpec


@pytest.fixture(scope="module")
def registry() -> Registry:
    return plugins.load()


def case(**changes: Any) -> Case:
    values: dict[str, Any] = {
        "name": "small",
        "model": "gpt",
        "args": {"vocab": 45, "context": 8, "layers": 1, "heads": 2, "width": 8},
        "data": DataSpec.model_validate({"name": "stories", "context": 8, "stories": 30}),
        "loss": Named(name="sequence_cross_entropy"),
        "optimizer": Named.model_validate({"name": "sgd", "lr": 0.5}),
    }
    return Case(**{**values, **changes})


def test_schedule() -> None:
    spec = ScheduleSpec(name="cosine", warmup=4, final=0.1)
    shares = [factor(spec, step, 24) for step in range(24)]
    assert shares[:4] == [0.2, 0.4, 0.6, 0.8]
    assert shares[4] == 1.0
    assert shares[14] == pytest.approx(0.55)
    assert factor(spec, 24, 24) == pytest.approx(0.1)
    assert shares[4:] == sorted(shares[4:], reverse=True)
    line = ScheduleSpec(name="linear", final=0.5)
    assert factor(line, 5, 10) == 0.75
    assert factor(ScheduleSpec(), 7, 10) == 1.0


def test_rates_of_an_optimizer_with_an_lr_only() -> None:
    optimizer = SimpleNamespace(lr=0.5)
    Rates(optimizer, ScheduleSpec(name="linear")).set(5, 10)
    assert optimizer.lr == 0.25
    with pytest.raises(AttributeError, match="neither `param_groups` nor `lr`"):
        Rates(SimpleNamespace(), ScheduleSpec(name="linear"))


def test_the_first_update_is_the_scheduled_and_clipped_one(registry: Registry) -> None:
    spec = TrainSpec(steps=1, clip=0.01, schedule=ScheduleSpec(warmup=3))
    reference = CaseSubject(case(), registry)
    before = reference.state()
    gradients = {n: g for n, g in reference.gradients().items() if g is not None}
    norm = math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values()))
    assert norm > 0.01
    trainer = Trainer(CaseSubject(case(), registry), spec)
    trainer.run()
    after = trainer.state()
    for name, gradient in gradients.items():
        expected = before[name] - 0.5 / 4 * 0.01 / norm * gradient
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-7)


def test_every_step_sees_the_next_batch(registry: Registry) -> None:
    seen: list[Any] = []
    subject = CaseSubject(case(), registry)
    real = subject.train_step
    subject.train_step = lambda batch, seed: seen.append(batch[0]._data) or real(batch, seed=seed)  # type: ignore[method-assign,func-returns-value]
    Trainer(subject, TrainSpec(steps=5)).run()
    expected = [b[0] for b in CaseSubject(case(), registry).new_loader().take(5)]
    np.testing.assert_array_equal(seen, expected)


def test_evaluation_is_the_loss_of_held_out_batches_in_eval_mode(registry: Registry) -> None:
    with_dropout = case(args={**case().args, "dropout": 0.5})
    trainer = Trainer(CaseSubject(with_dropout, registry), TrainSpec())
    once, twice = trainer.held_out_loss(4), trainer.held_out_loss(4)
    assert once == twice
    assert trainer.subject.model.training
    plain = Trainer(CaseSubject(case(), registry), TrainSpec())
    assert plain.held_out_loss(4) == pytest.approx(once, rel=1e-6)
    validation = plain.subject.dataset.validation()
    batch = [np.stack(f) for f in zip(*(validation[i] for i in range(len(validation))))]
    whole = plain.subject.forward(plain.subject.to_leaves(tuple(batch))).item()
    assert plain.held_out_loss(10**6) == pytest.approx(whole, rel=1e-2)


def test_gate_counts_an_expected_failure_as_one(registry: Registry) -> None:
    broken = case(step="rebuilds_tensor_from_data", checks={"graph": {}, "loader": {}})
    verdict = examine(broken, registry)
    assert verdict.passed == ["loader"]
    assert len(verdict.failed) == 1
    assert "graph" in verdict.failed[0]
    none = examine(broken, registry, budget=-1.0)
    assert none.not_run == ["graph", "loader"]


def test_curve_of_losses_that_are_not_finite() -> None:
    history = History([3.0, math.nan, math.inf, 2.0], [(0, None), (4, 2.5)])
    text = curve_page(history, case(name="a < b"))
    figures = json.loads(text.partition('id="report">')[2].partition("</script>")[0])
    drawn = figures["items"][0]["figures"]
    assert drawn["loss_curve"] == {"steps": [1, 2, 3, 4], "loss": [3.0, "nan", "inf", 2.0]}
    assert drawn["held_out"] == {"steps": [4], "loss": [2.5]}
    assert "a < b" not in text
    assert curve_page(History(), case(name="empty"))


def test_history_means() -> None:
    history = History([4.0, 2.0, 1.0, 3.0], [(0, None), (2, 1.0), (4, 1.0)])
    assert history.recent(2) == 2.0
    assert history.since_evaluation() == 2.0
    assert History().recent(3) is None
