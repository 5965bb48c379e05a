"""pytest-torch's assertions with their defaults: gradients, one-batch training, training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest_torch as pt
import torch

from . import models, ops
from .in_torch import OpModule, model_of
from .verdict import Cell, Complaint, measure

ABILITIES = ("mutation", "strides", "step")


def contestant() -> Iterator[Cell]:
    """Every cell of the column."""
    for subject in [*ops.FAULTS, *ops.CORRECT]:
        yield measure(subject, lambda s=subject: of_op(s), ABILITIES)
    usual = {c.key: c.hard for c in of_model(models.HEALTHY)}
    for subject in [*models.FAULTS, *models.CORRECT]:
        before = None if subject.correct else usual
        yield measure(subject, lambda s=subject: of_model(s), ABILITIES, before)


def of_op(subject: Any) -> list[Complaint]:
    arrays = tuple(torch.from_numpy(a) for a in subject.arrays.values() if a.dtype.kind == "f")
    return collect({"gradcheck": lambda: pt.assert_gradcheck(OpModule(subject), arrays)})


def of_model(subject: Any) -> list[Complaint]:
    model, (ids, targets), loss, optimizer = model_of(subject)

    def to_loss(logits: Any) -> Any:
        return loss(logits, targets)

    def setup() -> Any:
        fresh = copy.deepcopy(model)
        return fresh, models.make_optimizer(torch, fresh, subject.fault("optimizer"))

    def step(state: Any, batch: Any) -> Any:
        return models.train(state.model, batch, loss, state.optimizer, subject.fault("step"))

    def setup_in_float64() -> Any:
        """Adam turns the rounding of a true zero (the key bias) into steps in float32."""
        fresh = copy.deepcopy(model).double()
        return fresh, models.make_optimizer(torch, fresh, subject.fault("optimizer"))

    def make_step(parts: int) -> Any:
        """The same loop over micro-batches, which is how the tool looks at accumulation."""

        def part(state: Any, batch: Any) -> Any:
            if state.step_index % parts == 0 and subject.fault("step") != "zero_grad":
                state.optimizer.zero_grad()
            value = loss(state.model(batch[0]), batch[1]) / parts
            value.backward()
            if state.step_index % parts == parts - 1:
                state.optimizer.step()
            return value.detach()

        return part

    rate = optimizer.param_groups[0]["lr"]
    checks: dict[str, Callable[[], Any]] = {
        "inference": lambda: pt.check_inference_contract(copy.deepcopy(model).eval(), ids),
        "finite": lambda: pt.assert_gradients_finite(model, ids, to_loss),
        "receive_grad": lambda: pt.assert_all_params_receive_grad(model, ids, to_loss),
        "coverage": lambda: pt.assert_optimizer_coverage(model, optimizer),
        "decreases": lambda: pt.assert_loss_decreases(model, ids, to_loss, lr=rate),
        "overfits": lambda: pt.assert_overfits_one_batch(model, ids, to_loss, lr=rate),
        "loop": lambda: pt.run_training(setup, (ids, targets), step).assert_healthy(),
        "accumulation": lambda: pt.assert_accumulation_equivalent(
            setup_in_float64, (ids, targets), make_step
        ),
    }
    for pattern in subject.frozen:
        checks["frozen"] = lambda p=pattern: pt.assert_frozen(
            model, ids, to_loss, p, optimizer=lambda held: torch.optim.Adam(held, lr=rate)
        )
    return collect(checks)


def collect(checks: dict[str, Callable[[], Any]]) -> list[Complaint]:
    """A complaint for each assertion that fails, or that the subject makes raise."""
    found = []
    for key, check in checks.items():
        torch.manual_seed(0)
        try:
            check()
        except (AssertionError, RuntimeError) as error:
            found.append(Complaint(key, f"{key}: {error}"))
    return found
