"""A dropout mask that is always the same one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.checks.lib.outputs import prediction
from gradcheck.checks.lib.running import Blame, inputs_of, largest, result_of, tolerance, watched
from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding
from gradcheck.source.line import short_place


def repeated_mask(subject: Subject) -> Finding | None:
    """In train mode copies of one sample get different outputs, the same ones with every seed.

    In eval mode they get equal outputs, and batch norm treats equal samples alike in any mode: what
    tells them apart is a mask. One that is the same for all samples cannot be seen so.
    """
    if not subject.training or not subject.batch:
        return None
    run = subject.fresh(dtype=subject.framework.precision.data)
    try:
        inputs = [a for a in inputs_of(run) if a.ndim]
        run.framework.train_mode(run.model, True)  # the step that shows the inputs may switch it
        copies = [np.repeat(a[:1], max(len(a), 4), axis=0) for a in inputs]
        first, calls = _predicted(run, copies)
        if not _rows_differ(run, first):
            return None
        run.seed += 1
        second, _ = _predicted(run, copies)
        third, _ = _predicted(run, copies)
        run.framework.train_mode(run.model, False)
        plain, _ = _predicted(run, copies)
    except Exception:  # a model that only its own step can call, or that refuses such a batch
        return None
    allowed = tolerance(run, first)
    if largest(first - second) > allowed or largest(first - third) > allowed:
        return None
    if _rows_differ(run, plain):
        return None
    blame = _first_apart(run, calls)
    return Finding(
        code="mask_repeats",
        message="in train mode copies of one sample get different outputs, the same ones whatever "
        "the seed: always the same units are dropped" + (f"; first at {blame}" if blame else ""),
        op=blame.op if blame else None,
        where=blame.where if blame else None,
        advice="draw the mask from the framework's generator, not from one that every forward "
        "makes again with a fixed seed",
    )


def _predicted(run: Subject, arrays: Sequence[Array]) -> tuple[Array, Sequence[OpCall]]:
    leaves = run.to_leaves(tuple(arrays))
    ran = watched(run, lambda: run.predict(*leaves))
    values = np.asarray(run.value(prediction(run, ran.output)))
    return values, ran.calls or ()


def _rows_differ(run: Subject, values: Array) -> bool:
    if values.ndim < 1 or len(values) < 2:
        return False
    return largest(values - values[:1]) > tolerance(run, values)


def _first_apart(run: Subject, calls: Sequence[OpCall]) -> Blame | None:
    """The first call that gives copies of one sample different rows."""
    for call in calls:
        result = np.asarray(result_of(call))
        if _varies(run, result) and any(_alike(run, a, result) for a in call.inputs):
            return Blame(call.name, short_place(call.where))
    return None


def _varies(run: Subject, array: Array) -> bool:
    return array.ndim > 1 and array.dtype.kind == "f" and _rows_differ(run, array)


def _alike(run: Subject, operand: object, result: Array) -> bool:
    """An operand with the same row for every copy."""
    if not isinstance(operand, np.ndarray) or operand.ndim < 2 or operand.dtype.kind != "f":
        return False
    return len(operand) == len(result) and not _rows_differ(run, operand)
