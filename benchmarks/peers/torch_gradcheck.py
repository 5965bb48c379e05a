"""torch.autograd.gradcheck with its defaults, slow and fast, on the ops as autograd.Function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from . import models, ops
from .in_torch import leaves, model_of, torch_op
from .verdict import NOT_RUN, Cell, Complaint, measure

ABILITIES = ("mutation", "strides")


def contestant(fast: bool) -> Iterator[Cell]:
    """Every cell of the column. fast: `fast_mode=True`."""
    for subject in [*ops.FAULTS, *ops.CORRECT]:
        op = torch_op(subject.fn, list(subject.arrays))
        tensors = leaves(subject.arrays)
        yield measure(subject, lambda o=op, t=tensors: complaints(o, t, fast), ABILITIES)
    if not fast:  # 3,244 entries, two forwards each: half a minute a model, for the same verdicts
        for subject in [*models.FAULTS, *models.CORRECT]:
            yield Cell(subject.id, NOT_RUN)
        return
    usual = {c.key: c.hard for c in of_model(models.HEALTHY, fast)}
    for subject in [*models.FAULTS, *models.CORRECT]:
        before = None if subject.correct else usual
        yield measure(subject, lambda s=subject: of_model(s, fast), ABILITIES, before)


def complaints(function: Any, tensors: tuple[Any, ...], fast: bool) -> list[Complaint]:
    """What gradcheck raises; it never warns of a wrong gradient without failing."""
    torch.manual_seed(0)
    try:
        torch.autograd.gradcheck(function, tensors, fast_mode=fast)
    except Exception as error:  # GradcheckError, or whatever the backward itself raised
        return [Complaint("gradcheck", str(error))]
    return []


def of_model(subject: Any, fast: bool) -> list[Complaint]:
    """The loss as a function of the parameters, in float64 and without dropout's noise."""
    model, (ids, targets), loss, _ = model_of(subject)
    model = model.double()
    named = dict(model.named_parameters())
    held = [p for p in named.values() if p.requires_grad]

    def function(*_: Any) -> Any:
        torch.default_generator.manual_seed(0)  # torch.manual_seed costs more than the forward
        return loss(model(ids[:1]), targets[:1])

    return complaints(function, tuple(held), fast)
