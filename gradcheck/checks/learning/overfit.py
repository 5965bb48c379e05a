"""Can the model memorise one batch with the case's own optimizer and learning rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options, needs_training
from gradcheck.checks.learning.lr_sweep import Sweep, sweep
from gradcheck.checks.learning.why_not import Failed, dominating_decay, why_not
from gradcheck.checks.lib.outputs import prediction
from gradcheck.checks.lib.probing import finite
from gradcheck.checks.lib.words import number, some
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


class OverfitOptions(Options):
    """Options of the check `overfit`."""

    steps: int = Field(default=60, ge=1, description="Optimizer steps on the one batch.")
    below: float | None = Field(
        default=None, description="The loss that must be reached; without it, `fraction`."
    )
    fraction: float = Field(
        default=0.5, gt=0, lt=1, description="The share of the first loss that must be reached."
    )
    sweep: bool = Field(
        default=True, description="Try other learning rates from the same start when it fails."
    )
    sweep_steps: int | None = Field(
        default=None, ge=1, description="Steps of each rate of the sweep (default: steps)."
    )
    beyond: int | None = Field(
        default=None,
        ge=0,
        description="Further steps after the goal, in which loss and gradients must stay finite "
        "(default: half of steps).",
    )
    negative: bool = Field(default=False, description="The loss may be negative.")


class Overfit:
    """The model can memorise one batch with its own optimizer and learning rate.

    Loss and gradients are finite at every step. When the loss does not fall far enough, a sweep of
    learning rates from the same start says whether the rate is too low, too high, or not to blame.
    """

    name = "overfit"
    Options = OverfitOptions

    def applies(self, case: Case) -> str | None:
        return needs_training(case)

    def run(self, subject: Subject, options: OverfitOptions) -> Result:
        losses, finding = train(subject, options.steps, options.negative)
        first, last = losses[0], losses[-1]
        goal = options.below if options.below is not None else options.fraction * first
        figures: dict[str, Any] = {
            "loss_curve": {"steps": list(range(len(losses))), "loss": losses},
        }
        measurements: dict[str, Any] = {"first_loss": first, "last_loss": last, "goal": goal}
        reached = math.isfinite(last) and last <= goal
        if finding is None and reached:
            more = options.steps // 2 if options.beyond is None else options.beyond
            _, late = train(subject, more, True, first=options.steps)
            measurements["steps"] = options.steps + (more if late is None else 0)
            return _result([late] if late else [], measurements, figures)
        if finding is not None and (
            finding.code in ("gradient_not_finite", "negative_loss") or not math.isfinite(first)
        ):
            return _result([finding], measurements, figures)
        failed = Failed(subject, losses, goal, finding)
        known = why_not(failed)
        if known is not None:
            return _result([known], measurements, figures)
        steps = options.sweep_steps or options.steps
        found = sweep(subject, goal, steps, failed.own) if options.sweep else None
        if found is not None:
            figures["lr_sweep"] = found.figure()
            measurements["sweep"] = found.figure()
        decays = dominating_decay(failed, found, steps)
        return _result([decays or _verdict(failed, found)], measurements, figures)


def _result(
    findings: list[Finding], measurements: dict[str, Any], figures: dict[str, Any]
) -> Result:
    return Result(findings=tuple(findings), measurements=measurements, figures=figures)


def train(
    subject: Subject, steps: int, negative: bool = True, *, first: int = 0
) -> tuple[list[float], Finding | None]:
    """(loss before each step and after the last, what went wrong on the way).

    first: the number of the first of these steps.
    """
    losses: list[float] = []
    for step in range(first, first + steps):
        loss = subject.train_step()
        losses.append(loss)
        if not math.isfinite(loss):
            return losses, Finding(
                code="loss_not_finite",
                message=f"the loss is {loss} at step {step}",
                advice="lower the learning rate; if it happens at step 0, look for log or division "
                "by zero in the forward",
            )
        broken = [n for n, g in subject.grads().items() if g is not None and not finite(g)]
        if broken:
            return losses, Finding(
                code="gradient_not_finite",
                message=f"at step {step} the loss is finite ({number(loss)}) but the gradient of "
                f"{some(broken)} is not",
                parameter=broken[0],
                advice="look for sqrt, norm, log or a division at 0: a where() around the result "
                "does not stop the NaN in the backward, so make the argument safe before the op",
            )
        if loss < 0 and not negative:
            return losses, Finding(
                code="negative_loss",
                message=f"the loss is negative ({number(loss)}) at step {step}",
                advice="the sign of the loss is flipped, or its input is not a probability; set "
                "`negative: true` if a loss below 0 is intended",
            )
    losses.append(float(subject.value(subject.forward()).reshape(-1)[0]))
    return losses, None


def _verdict(failed: Failed, found: Sweep | None) -> Finding:
    what = failed.message
    lines: list[str] = []
    code, advice = "not_overfit", "raise the learning rate or the number of steps"
    if found is not None:
        code, advice = found.code, found.advice
        what = f"{what}; {found.verdict}"
        lines.append(found.row())
    floor = softmax_floor(failed.subject, failed.losses[-1])
    if floor is not None and code in ("no_rate_helps", "not_overfit"):
        lines.append(floor)
        advice = "give the loss the logits: this cross-entropy applies the softmax itself"
    return Finding(code=code, message=what, lines=tuple(lines), advice=advice)


def softmax_floor(subject: Subject, last: float) -> str | None:
    """A sentence when the loss rests on the floor of a softmax applied twice.

    Probabilities lie in [0, 1], so a second softmax gives at most e / (e + C - 1) to the right
    class: the cross-entropy cannot fall below log(e + C - 1) - 1.
    """
    try:
        output = subject.value(prediction(subject, subject.predict()))
    except Exception:  # only its own step can call this model
        return None
    if output.ndim < 2 or output.shape[-1] < 2 or not math.isfinite(last):
        return None
    classes = output.shape[-1]
    floor = math.log(math.e + classes - 1) - 1
    sums = np.sum(output, axis=-1)
    probabilities = bool(np.all(output >= 0) and np.allclose(sums, 1.0, atol=1e-3))
    if not probabilities and abs(last - floor) > 0.05 * floor:
        return None
    seen = "the model's outputs already sum to 1" if probabilities else "the loss rests there"
    return (
        f"with {classes} classes, a softmax before this loss keeps it above {floor:.2f} "
        f"= log(e + C - 1) - 1; {seen}"
    )
