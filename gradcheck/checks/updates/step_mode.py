"""Does the case's training step run the model in train mode."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradcheck.checks.lib.words import number
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding


def steps_in_eval(subject: Subject, loss: float) -> Iterator[Finding]:
    """`loss` is what the first training step of `subject` returned, before it moved anything.

    Dropout and batch norm make the loss in train mode another than in eval mode; a step whose loss
    is exactly the latter was run in eval mode.
    """
    if not subject.training or not math.isfinite(loss):
        return
    losses = []
    for training in (True, False):
        run = subject.fresh()
        run.framework.train_mode(run.model, training)
        value = np.asarray(run.value(run.forward()))
        if value.size != 1:
            return
        losses.append(float(value.reshape(())))
    train, evaluated = losses
    close = 1e-12 * max(1.0, abs(evaluated))
    if abs(train - evaluated) < 1e-6 * max(1.0, abs(evaluated)) or abs(loss - evaluated) > close:
        return
    yield Finding(
        code="eval_mode",
        message=f"the training step runs the model in eval mode: its loss is {number(loss)}, as in "
        f"eval mode; in train mode it is {number(train)}",
        analytic=loss,
        numeric=train,
        advice="call model.train() before training: an earlier model.eval(), for a validation, "
        "stays on until then",
    )
