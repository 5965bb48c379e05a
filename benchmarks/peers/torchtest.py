"""torchtest2.check_model with its defaults and `gradcheck=True`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import torch
import torchtest2

from . import models, ops
from .in_torch import OpModule, model_of
from .verdict import Cell, Complaint, measure

ABILITIES = ("mutation", "strides")  # it is given a loss, never a training step


def contestant() -> Iterator[Cell]:
    """Every cell of the column."""
    for subject in [*ops.FAULTS, *ops.CORRECT]:
        yield measure(subject, lambda s=subject: of_op(s), ABILITIES)
    usual = {c.key: c.hard for c in of_model(models.HEALTHY)}
    for subject in [*models.FAULTS, *models.CORRECT]:
        before = None if subject.correct else usual
        yield measure(subject, lambda s=subject: of_model(s), ABILITIES, before)


def complaints(report: Any) -> list[Complaint]:
    hard = [Complaint(r.name, f"{r.name}: {r.message}") for r in report.failures]
    return hard + [Complaint(r.name, f"{r.name}: {r.message}", False) for r in report.warnings]


def of_op(subject: Any) -> list[Complaint]:
    """Only what concerns an op: its gradient, finite values, determinism."""
    arrays = [torch.from_numpy(a) for a in subject.arrays.values() if a.dtype.kind == "f"]
    report = torchtest2.check_model(
        OpModule(subject),
        tuple(arrays),
        batch_dim=None,
        gradcheck=True,
        skip=set(torchtest2.CHECKS) - {"forward", "output_finite", "eval_determinism", "gradcheck"},
    )
    return complaints(report)


def of_model(subject: Any) -> list[Complaint]:
    model, (ids, targets), loss, optimizer = model_of(subject)
    with contextlib.redirect_stdout(io.StringIO()):
        report = torchtest2.check_model(
            model, ids, targets, loss_fn=loss, optimizer=optimizer, frozen=subject.frozen
        )
    return complaints(report)
