"""Does the model start where training can begin: first loss, units, attention scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.capture import class_axis, losses_of
from gradcheck.checks.lib.running import needs_data
from gradcheck.checks.model.alike import alike_units, overflowing_loss
from gradcheck.checks.model.attention_scale import scaled_wrongly
from gradcheck.checks.model.first_loss import (
    clipped_logits,
    of_classes,
    softmax_twice,
    wrong_sign,
    wrong_size,
)
from gradcheck.probe.subject import Subject
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case


class InitOptions(Options):
    """Options of the check `init`."""

    classes: int | None = Field(
        default=None, ge=2, description="Number of classes, where the output does not show it."
    )
    above: float = Field(
        default=0.4,
        gt=0,
        description="How far above ln(classes) the first loss may be, as a share of it (plus 0.4).",
    )
    below: float = Field(
        default=0.4, gt=0, lt=1, description="How far below ln(classes), as a share of it."
    )
    negative: bool = Field(default=False, description="The loss may be negative.")
    scores: bool = Field(
        default=True, description="Attention scores must be divided by the root of their width."
    )


class Init:
    """The first loss of a classifier is about ln(classes), also on (batch, time, vocab).

    A first loss far above it means an output head that starts too large; a negative one, a flipped
    sign; one that only fits a second softmax, a softmax before the cross-entropy. Attention scores
    without the factor 1/sqrt(d) show in their variance.
    """

    name = "init"
    Options = InitOptions

    def applies(self, case: Case) -> str | None:
        if case.model is not None and case.loss is None:
            return "the case has no loss"
        return needs_data(case)

    def run(self, subject: Subject, options: InitOptions) -> Result:
        run = subject.fresh(dtype=subject.framework.precision.data)
        seen = losses_of(run)
        if not seen:
            loss = float(np.asarray(run.value(run.forward())).reshape(-1)[0])
            return Result(
                findings=tuple(wrong_sign(loss, options.negative)),
                measurements={"first_loss": loss},
            )
        first = seen[0]
        findings = [*wrong_sign(first.value, options.negative)]
        measurements: dict[str, Any] = {"first_loss": first.value}
        axis = class_axis(first.values, first.ids)
        if options.classes is None and (
            axis is None or (not findings and not of_classes(first, axis, _ignored(run)))
        ):
            if options.scores:
                findings.extend(scaled_wrongly(run))
            findings.extend(alike_units(run))
            note = "the loss does not compare classes: only its sign and size were checked"
            return Result(findings=tuple(findings), measurements=measurements, notes=(note,))
        classes = options.classes or first.values.shape[axis]  # type: ignore[index]
        measurements |= {"classes": classes, "expected": math.log(classes)}
        if axis is not None:
            measurements["logit_std"] = float(np.std(first.values, axis=axis).mean())
        if not findings:
            findings.extend(overflowing_loss(run, first, axis))
            findings.extend(alike_units(run))
        if not findings:
            findings = [
                *softmax_twice(first, axis),
                *clipped_logits(first, axis),
                *wrong_size(first, axis, classes, options.above, options.below),
            ][:1]
        if options.scores:
            findings.extend(scaled_wrongly(run))
        return Result(findings=tuple(findings), measurements=measurements)


def _ignored(run: Subject) -> int | None:
    """The target that the case's loss is told to ignore."""
    index = run.loss_args.get("ignore_index")
    return index if isinstance(index, int) else None
