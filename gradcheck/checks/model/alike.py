"""Is training impossible from the start: units that are all alike, a loss that overflows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradcheck.checks.lib.capture import Seen
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding


def alike_units(run: Subject) -> Iterator[Finding]:
    """Units of a layer that start equal and get equal gradients stay equal forever."""
    try:
        grads = run.gradients()
    except Exception:  # the checks `graph` and `gradient` say what is wrong with the backward
        return
    for name, grad in grads.items():
        values = run.get(name)
        if grad is None or values.ndim < 2 or not np.any(grad):
            continue
        for axis in range(values.ndim):
            count = values.shape[axis]
            if count > 1 and _alike(values, axis, 0.0) and _alike(grad, axis, 1e-9):
                yield Finding(
                    code="symmetric",
                    message=f"the {count} units of {name} (axis {axis}) start with the same values "
                    "and get the same gradient: training cannot make them differ",
                    parameter=name,
                    advice="draw the initial weights at random (nn.init.kaiming_uniform_, "
                    "xavier_uniform_); biases may start equal",
                )
                return


def _alike(array: Array, axis: int, tolerance: float) -> bool:
    size = float(np.max(np.abs(array)))
    return bool(np.all(np.ptp(array, axis=axis) <= tolerance * size))


LARGE = 1000.0
"""Logits of a confident model; the exponential of this overflows in float64."""


def overflowing_loss(run: Subject, seen: Seen, axis: int | None) -> Iterator[Finding]:
    """The loss of large logits must be a number: it is at most their range."""
    if axis is None or not (np.any(seen.values > 0) and np.any(seen.values < 0)):
        return  # probabilities, or their logarithms
    largest = float(np.max(np.abs(seen.values)))
    logits = run.framework.leaf(
        seen.values * (LARGE / largest), trainable=False, dtype=run.framework.precision.data
    )
    loss = float(np.asarray(run.value(run.loss(logits, seen.target))).reshape(-1)[0])
    if not math.isfinite(loss):
        yield Finding(
            code="loss_overflows",
            message=f"the loss is {loss:g} for logits of size {LARGE:g}, where a cross-entropy is "
            f"at most {2 * LARGE:g}",
            numeric=loss,
            advice="subtract the largest logit before taking exponentials, and take log_softmax "
            "instead of the logarithm of a softmax",
        )
