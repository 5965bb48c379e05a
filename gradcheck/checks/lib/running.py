"""What several checks do with a subject: run it in eval mode, in float64, and find the first op at
which two runs part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.checks.lib.outputs import prediction
from gradcheck.frameworks.protocol import Array, OpCall, Output, WatchesCalls
from gradcheck.phrases import one_line
from gradcheck.probe.subject import NotJudged, Subject
from gradcheck.result import Finding, Result
from gradcheck.source.line import short_place
from gradcheck.yamlcases.case import Case


def needs_data(case: Case) -> str | None:
    """The reason why a case without a model on data is not for a check."""
    if case.model is None:
        return "it is a case of an op, not of a model"
    return None if case.data is not None else "the case has no data"


def in_eval(subject: Subject, **changes: Any) -> Subject:
    """A fresh subject in the widest dtype and in eval mode."""
    wide = subject.fresh(dtype=subject.framework.precision.data, **changes)
    wide.call_of_step()  # a step may switch the mode
    wide.framework.train_mode(wide.model, False)
    return wide


@dataclass(frozen=True)
class Ran:
    """An output, and the calls that made it (None: cannot tell)."""

    output: Output
    calls: list[OpCall] | None


def watched(subject: Subject, forward: Callable[[], Output]) -> Ran:
    """Run `forward`; its calls are read off the tape, or watched where there is none."""
    if isinstance(subject.framework, WatchesCalls):
        with subject.framework.watch_calls() as calls:
            output = forward()
        return Ran(output, list(calls))
    output = forward()
    try:
        return Ran(output, subject.tape(prediction(subject, output)))
    except Exception:  # the graph was freed: what is found stands, only its line is missing
        return Ran(output, None)


def inputs_of(subject: Subject, batch: Any = None) -> list[Array]:
    """What the training step gives the model, of the subject's own batch or another one."""
    inputs = [subject.framework.get(leaf) for leaf in subject.model_inputs(batch)]
    if not inputs:
        raise NotJudged("the training step calls the model without any tensor")
    return inputs


def predict(subject: Subject, arrays: Sequence[Array]) -> tuple[Array, Ran]:
    """The model's output on arrays: (values, the run). Of several tensors, the first."""
    leaves = subject.to_leaves(tuple(arrays))
    ran = watched(subject, lambda: subject.predict(*leaves))
    return subject.value(prediction(subject, ran.output)), ran


def predict_changed(subject: Subject, arrays: Sequence[Array]) -> tuple[Array, Ran]:
    """The same on inputs that a check made up. Raises NotJudged where the model refuses them."""
    try:
        return predict(subject, arrays)
    except NotJudged:
        raise
    except Exception as error:
        raise NotJudged(
            f"with other inputs the model raises {type(error).__name__}: {one_line(error)}"
        ) from error


def not_finite(values: Array) -> Result | None:
    """A result that says so where an output cannot be compared; None where it can."""
    bad = int(np.sum(~np.isfinite(values)))
    if not bad:
        return None
    return Result(
        findings=(
            Finding(
                code="not_finite",
                message=f"{bad} of {values.size} entries of the model's output are not finite: "
                "there is nothing to compare",
                advice="look for a row of a mask that hides everything (the softmax of nothing but "
                "-inf is NaN), for a division by 0, log or sqrt",
            ),
        )
    )


def tolerance(subject: Subject, values: Array) -> float:
    """Differences up to this are rounding: the order of sums depends on shapes."""
    size = float(np.max(np.abs(values), initial=0.0))
    return 1e4 * subject.eps * max(size if np.isfinite(size) else 1.0, 1e-3)


def largest(difference: Array) -> float:
    """The largest absolute entry; inf where one is not a number."""
    if difference.size == 0:
        return 0.0
    worst = float(np.max(np.abs(difference)))
    return worst if np.isfinite(worst) else float("inf")


@dataclass(frozen=True)
class Blame:
    """The first recorded op call at which two runs part."""

    op: str
    where: str | None

    def __str__(self) -> str:
        return f"{self.op} at {self.where}" if self.where else self.op


def first_difference(
    subject: Subject, one: Ran, other: Ran, keep: Callable[[Array], Array | None]
) -> Blame | None:
    """The first op whose results differ in the part that `keep` cuts out (None: cannot tell)."""
    a, b = one.calls, other.calls
    if a is None or b is None or len(a) != len(b):
        return None
    for mine, theirs in zip(a, b):
        if mine.name != theirs.name:
            return None
        left, right = keep(result_of(mine)), keep(result_of(theirs))
        if left is None or right is None or left.shape != right.shape:
            continue
        with np.errstate(invalid="ignore"):  # a mask: -inf in both is no difference
            apart = np.where(left == right, 0.0, left - right)
        if largest(apart) > tolerance(subject, left):
            return Blame(mine.name, short_place(mine.where))
    return None


def result_of(call: OpCall) -> Array:
    with np.errstate(all="ignore"):
        return call.run(call.inputs)
