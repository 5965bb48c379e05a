"""Does the loss fall over several real batches, not only on one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options, needs_training
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.lib.words import number
from gradcheck.probe.batches import fields, samples_in
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


class MultiBatchOptions(Options):
    """Options of the check `multibatch`."""

    steps: int = Field(default=60, ge=5, description="Optimizer steps, each on the next batch.")
    fraction: float = Field(
        default=0.9,
        gt=0,
        description="The mean loss of the last fifth must be below this share of the first's.",
    )


class MultiBatch:
    """The loss falls over several batches of the real data.

    A model may memorise one batch and still learn nothing from many: inputs and labels are paired
    wrongly, state survives a batch, or only one batch tolerates the learning rate.
    """

    name = "multibatch"
    Options = MultiBatchOptions

    def applies(self, case: Case) -> str | None:
        return needs_training(case)

    def run(self, subject: Subject, options: MultiBatchOptions) -> Result:
        same = list(_same_batch(subject.fresh(dtype=subject.framework.precision.data)))
        losses: list[float] = []
        for batch in subject.batches(options.steps):
            losses.append(subject.train_step(batch))
            if not math.isfinite(losses[-1]):
                break
        part = max(1, len(losses) // 5)
        first, last = float(np.mean(losses[:part])), float(np.mean(losses[-part:]))
        curve = {"steps": list(range(len(losses))), "loss": losses}
        findings = same
        if not math.isfinite(losses[-1]):
            findings.append(
                Finding(
                    code="loss_not_finite",
                    message=f"the loss is {losses[-1]} at step {len(losses) - 1}",
                    advice="lower the learning rate (the check `overfit` tries others), and "
                    "check that the samples are finite (check `loader`)",
                )
            )
        elif last > options.fraction * first if first > 0 else last > first:
            findings.append(
                Finding(
                    code="loss_not_falling",
                    message=f"over {len(losses)} batches the mean loss goes from {number(first)} "
                    f"to {number(last)}, not below {options.fraction:g} of the start",
                    advice="if `overfit` passes, the model can learn, so suspect the data: check "
                    "that inputs and labels stay paired (check `loader`), and that targets are "
                    "aligned (check `alignment`)",
                )
            )
        return Result(
            findings=tuple(findings),
            measurements={"first": first, "last": last},
            figures={"loss_curve": curve},
        )


def _same_batch(run: Subject) -> Iterator[Finding]:
    """From the same state two different batches must give two gradients."""
    if len(run.dataset) < 2 * samples_in(run.to_arrays(run.batch)):
        return  # the second batch is the first in another order
    one, other = run.batches(2)
    arrays = [fields(run.to_arrays(batch)) for batch in (one, other)]
    if any(np.array_equal(a, b) for a, b in zip(*arrays)):
        return
    log = StepLog(run, run.make_optimizer())
    before = run.state()
    for batch in (one, other):
        run.restore(before)
        run.train_step(batch)
    if len(log.gradients) != 2:
        return
    first, second = log.gradients
    seen = [n for n, g in first.items() if g is not None and np.any(g)]
    if seen and all(np.array_equal(first[n], second[n]) for n in seen):  # type: ignore[arg-type]
        yield Finding(
            code="same_batch",
            message="two different batches give the optimizer the same gradient: the training step "
            "does not use the batch that it is given",
            parameter=seen[0],
            advice="look for a batch that is kept from the first call, or a loop that never takes "
            "the next one",
        )
