"""Is the first loss what chance would give: ln(classes)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.capture import Seen, class_axis, log_softmax, losses_of, picked
from gradcheck.checks.lib.running import needs_data, watched
from gradcheck.checks.lib.words import number
from gradcheck.checks.model.alike import alike_units, overflowing_loss
from gradcheck.checks.model.attention_scale import unscaled_scores
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
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
    without the factor 1/sqrt(d) are told from their variance.
    """

    name = "init"
    Options = InitOptions

    def applies(self, case: Case) -> str | None:
        if case.model is not None and case.loss is None:
            return "the case has no loss"
        return needs_data(case)

    def run(self, subject: Subject, options: Any) -> Result:
        run = subject.fresh(dtype=subject.framework.precision.data)
        seen = losses_of(run)
        if not seen:
            loss = float(np.asarray(run.value(run.forward())).reshape(-1)[0])
            return Result(findings=tuple(_sign(loss, options)), measurements={"first_loss": loss})
        first = seen[0]
        findings = [*_sign(first.value, options)]
        measurements: dict[str, Any] = {"first_loss": first.value}
        axis = class_axis(first.values, first.ids)
        if axis is None and options.classes is None:
            if options.scores:
                findings.extend(_scores(run))
            findings.extend(alike_units(run))
            note = "the loss is not one of classes: only its sign and size were looked at"
            return Result(findings=tuple(findings), measurements=measurements, notes=(note,))
        classes = options.classes or first.values.shape[axis]  # type: ignore[index]
        measurements |= {"classes": classes, "expected": math.log(classes)}
        if axis is not None:
            measurements["logit_std"] = float(np.std(first.values, axis=axis).mean())
        if not findings:
            findings.extend(overflowing_loss(run, first, axis))
            findings.extend(alike_units(run))
        if not findings:
            findings = [*_softmax_twice(first, axis), *_size(first, axis, classes, options)][:1]
        if options.scores:
            findings.extend(_scores(run))
        return Result(findings=tuple(findings), measurements=measurements)


def _sign(loss: float, options: Any) -> Iterator[Finding]:
    if not math.isfinite(loss):
        yield Finding(
            code="loss_not_finite",
            message=f"the first loss is {loss}",
            advice="look for log, sqrt or a division at 0, and for initial values that overflow",
        )
    elif loss < 0 and not options.negative:
        yield Finding(
            code="negative_loss",
            message=f"the first loss is negative ({number(loss)})",
            advice="the sign of the loss is flipped, or its input is no probability; set "
            "`negative: true` where a loss below 0 is meant",
        )


def _softmax_twice(seen: Seen, axis: int | None) -> Iterator[Finding]:
    """The loss fits a cross-entropy of softmax outputs: one softmax too many."""
    if axis is None:
        return
    values = seen.values
    probabilities = np.exp(log_softmax(values, axis))
    sums = np.sum(values, axis=axis)
    are_probabilities = bool(np.all(values >= 0) and np.allclose(sums, 1.0, atol=1e-5))
    plain = -float(np.mean(picked(log_softmax(values, axis), seen.ids, axis)))
    twice = -float(np.mean(picked(log_softmax(probabilities, axis), seen.ids, axis)))
    close = 1e-4 * max(1.0, abs(seen.value))
    fed_probabilities = are_probabilities and abs(seen.value - plain) < close
    inside = abs(seen.value - twice) < close and abs(plain - twice) > 10 * close
    if fed_probabilities or inside:
        classes = values.shape[axis]
        floor = math.log(math.e + classes - 1) - 1
        yield Finding(
            code="softmax_twice",
            message="the loss applies a softmax to values that have already been through one",
            numeric=seen.value,
            lines=(f"with {classes} classes it can never fall below {floor:.2f}",),
            advice="give the loss the logits: this cross-entropy applies the softmax itself",
        )


def _size(seen: Seen, axis: int | None, classes: int, options: Any) -> Iterator[Finding]:
    expected = math.log(classes)
    spread = "" if axis is None else number(float(np.std(seen.values, axis=axis).mean()))
    if seen.value > (1 + options.above) * expected + 0.4:
        cause = f"; the logits have a standard deviation of {spread}" if spread else ""
        yield Finding(
            code="first_loss_high",
            message=f"the first loss is {number(seen.value)}, chance gives ln({classes}) = "
            f"{expected:.2f}{cause}",
            analytic=seen.value,
            numeric=expected,
            advice="initialise the output head smaller (a standard deviation of 0.02, or zero), so "
            "that the model starts without an opinion",
        )
    elif seen.value < (1 - options.below) * expected:
        yield Finding(
            code="first_loss_low",
            message=f"the first loss is {number(seen.value)}, well below ln({classes}) = "
            f"{expected:.2f} before any training",
            analytic=seen.value,
            numeric=expected,
            advice="see that the loss is averaged once only, and that the inputs do not hold the "
            "answer (targets not shifted, a model that sees the future)",
        )


def _scores(run: Subject) -> Iterator[Finding]:
    """Attention whose scores are too large, or too small, by the root of their width."""
    for found in unscaled_scores(watched(run, run.forward).calls or []):
        large = found.factor > 1
        times = f"{found.factor:.1f}" if large else f"{found.factor:.2g}"
        by = "the root of the width of a head" + ("" if large else ", not by the width,")
        yield Finding(
            code="scores_too_large" if large else "scores_too_small",
            message=f"attention scores of {found.op} at {found.where} are {times} times "
            f"as large as q k / sqrt({found.width}) gives (standard deviation {found.std:.2g})",
            op=found.op,
            where=found.where,
            advice=f"divide the scores by {by} before the softmax; set `scores: false` where the "
            "scale is meant to be learned, left out or another one",
        )
        return
