"""Does the output for one sample depend on the other samples of the batch?"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.running import (
    first_difference,
    in_eval,
    inputs_of,
    largest,
    needs_data,
    predict,
    predict_changed,
    tolerance,
)
from gradcheck.checks.lib.words import number
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


class BatchIndependenceOptions(Options):
    """Options of the check `batch_independence`."""

    axis: int = Field(default=0, ge=0, description="The batch axis of inputs and output.")


class BatchIndependence:
    """In eval mode the output for a sample does not depend on the rest of the batch.

    One sample is kept and all others are replaced by other samples of the data set. Catches a
    softmax, a norm or a reshape over the batch axis, and names the op.
    """

    name = "batch_independence"
    Options = BatchIndependenceOptions

    def applies(self, case: Case) -> str | None:
        return needs_data(case)

    def run(self, subject: Subject, options: BatchIndependenceOptions) -> Result:
        run = in_eval(subject, batch_size=max(subject.batching.size, 2))
        first, second = (inputs_of(run, b) for b in _two(run))
        if [a.shape for a in first] != [b.shape for b in second]:
            return Result.skipped("the model's inputs have other shapes in another batch")
        base, output = predict(run, first)
        axis = options.axis
        size = first[0].shape[axis] if first[0].ndim > axis else 0
        if base.ndim <= axis or base.shape[axis] != size:
            return Result.skipped(
                f"the output of shape {base.shape} has no batch axis of length {size}"
            )
        worst = 0.0
        for kept in (0, size - 1):
            mixed = [
                _mix(a, b, kept, axis) if a.ndim > axis and a.shape[axis] == size else a
                for a, b in zip(first, second)
            ]
            values, other = predict_changed(run, mixed)
            if values.shape != base.shape:
                return Result.skipped("the shape of the output depends on the samples")
            change = largest(base.take(kept, axis) - values.take(kept, axis))
            worst = max(worst, change)
            if change > tolerance(run, base):

                def keep(array: Array, kept: int = kept) -> Array | None:
                    if array.ndim <= axis or array.shape[axis] != size:
                        return None
                    return array.take(kept, axis)

                blame = first_difference(run, output, other, keep)
                return Result(
                    findings=(
                        Finding(
                            code="depends_on_batch",
                            message=f"the output of sample {kept} changes by {number(change)} when "
                            "the other samples of the batch are replaced"
                            + (f"; first at {blame}" if blame else ""),
                            op=blame.op if blame else None,
                            where=blame.where if blame else None,
                            advice="look for a softmax, mean, norm or reshape over the batch axis; "
                            "batch statistics must not be used in eval mode",
                        ),
                    ),
                    measurements={"change": change},
                )
        return Result(measurements={"change": worst})


def _two(subject: Subject) -> list[Any]:
    batches = list(subject.batches(2))
    return [batches[0], batches[1]]


def _mix(a: Array, b: Array, kept: int, axis: int) -> Array:
    """`b` with entry `kept` of `a`; if b is the same data, in reverse order."""
    mixed = np.flip(b, axis).copy()
    index: list[Any] = [slice(None)] * a.ndim
    index[axis] = kept
    mixed[tuple(index)] = a[tuple(index)]
    return mixed
