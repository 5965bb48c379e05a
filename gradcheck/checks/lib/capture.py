"""What a training step hands to the loss: the outputs and targets as the loss really sees them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from gradcheck.crash import where_now
from gradcheck.frameworks.protocol import Array, Leaf, Output
from gradcheck.probe.subject import Subject


@dataclass(frozen=True)
class Seen:
    """One call of the loss: its output and target (the framework's objects and their values), and
    the line of the user's step that calls it (None where the step is gradcheck's own)."""

    output: Output
    target: Leaf
    values: Array
    ids: Array
    value: float
    where: str | None


@contextmanager
def noting_losses(subject: Subject) -> Iterator[list[Seen]]:
    """Note every call of the case's loss while the context lasts; an op has none."""
    seen: list[Seen] = []
    if subject.is_op:
        yield seen
        return
    original = subject.loss

    def noting(output: Output, target: Leaf) -> Output:
        __tracebackhide__ = True  # the line that a graph shows for the loss is the step's
        result = original(output, target)
        value = np.asarray(subject.value(result))
        seen.append(
            Seen(
                output,
                target,
                _values(subject, output),
                _values(subject, target),
                float(value.reshape(-1)[0]) if value.size == 1 else float("nan"),
                where_now(sys._getframe(1)),
            )
        )
        return result

    subject.loss = noting  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del subject.loss


def losses_of(subject: Subject) -> list[Seen]:
    """Run the case's step once and note every call of the case's loss in it."""
    with noting_losses(subject) as seen:
        subject.forward()
    return seen


def _values(subject: Subject, output: Output) -> Array:
    """The values of one tensor; none of several: nothing says which of them are scores."""
    return np.asarray(subject.value(output)) if subject.is_tensor(output) else np.empty(0)


def class_axis(values: Array, ids: Array) -> int | None:
    """The axis of `values` that holds the classes of integer targets; None where there is none."""
    if ids.dtype.kind not in "iu" or values.ndim != ids.ndim + 1:
        return None
    for axis in (values.ndim - 1, 1):
        if axis < values.ndim and values.shape[:axis] + values.shape[axis + 1 :] == ids.shape:
            return axis
    return None


def log_softmax(values: Array, axis: int) -> Array:
    """log softmax, shifted by the maximum."""
    shifted = values - np.max(values, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def picked(values: Array, ids: Array, axis: int) -> Array:
    """The entry of the target class at every position, flat; ids out of range are left out."""
    rows = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
    flat = ids.reshape(-1)
    valid = (flat >= 0) & (flat < rows.shape[-1])
    return rows[np.flatnonzero(valid), flat[valid]]
