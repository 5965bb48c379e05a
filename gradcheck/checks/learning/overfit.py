"""Can the model memorise one batch with the case's own optimizer and learning rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options, needs_training
from gradcheck.checks.learning.lr_sweep import Sweep, sweep
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
        if finding is not None and (
            finding.code in ("gradient_not_finite", "negative_loss") or not math.isfinite(first)
        ):
            findings = [finding]
        elif finding is None and reached:
            findings = []
        else:
            steps = options.sweep_steps or options.steps
            found = sweep(subject, goal, steps) if options.sweep else None
            findings = [_verdict(subject, losses, goal, finding, found)]
            if found is not None:
                figures["lr_sweep"] = found.figure()
                measurements["sweep"] = found.figure()
        return Result(findings=tuple(findings), measurements=measurements, figures=figures)


def train(
    subject: Subject, steps: int, negative: bool = True
) -> tuple[list[float], Finding | None]:
    """(loss before each step and after the last, what went wrong on the way)."""
    losses: list[float] = []
    for step in range(steps):
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


def _verdict(
    subject: Subject,
    losses: list[float],
    goal: float,
    finding: Finding | None,
    found: Sweep | None,
) -> Finding:
    last = losses[-1]
    if finding is not None:
        what = f"{finding.message}: training diverged"
    else:
        what = (
            f"after {len(losses) - 1} steps on one batch the loss is {number(last)}, "
            f"not below {number(goal)}"
        )
    lines: list[str] = []
    code, advice = "not_overfit", "raise the learning rate or the number of steps"
    if found is not None:
        code, advice = found.code, found.advice
        what = f"{what}; {found.verdict}"
        lines.append(found.row())
    floor = softmax_floor(subject, last)
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
