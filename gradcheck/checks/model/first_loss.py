"""Is the first loss what chance gives: ln(classes)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradcheck.checks.lib.capture import Seen, log_softmax, picked
from gradcheck.checks.lib.words import number
from gradcheck.result import Finding


def wrong_sign(loss: float, negative: bool) -> Iterator[Finding]:
    """A loss that is not finite, or below 0 unless that is intended."""
    if not math.isfinite(loss):
        yield Finding(
            code="loss_not_finite",
            message=f"the first loss is {loss}",
            advice="look for log, sqrt or a division at 0, and for initial values that overflow",
        )
    elif loss < 0 and not negative:
        yield Finding(
            code="negative_loss",
            message=f"the first loss is negative ({number(loss)})",
            advice="the sign of the loss is flipped, or its input is not a probability; set "
            "`negative: true` if a loss below 0 is intended",
        )


SAME = 1e-3
"""Relative difference up to which two losses are the same one."""


def of_classes(seen: Seen, axis: int, ignored: int | None) -> bool:
    """Whether the loss is a cross-entropy of these very outputs: with one softmax, one
    too many or none, averaged once, not at all, or twice. A contrastive loss is not, though its
    outputs and targets look the same. What overflows cannot be compared: it counts as one."""
    ids = np.where(seen.ids == ignored, -1, seen.ids) if ignored is not None else seen.ids
    scores = log_softmax(seen.values, axis)
    forms = (scores, log_softmax(np.exp(scores), axis), seen.values)
    losses = [-picked(s, ids, axis) for s in forms]
    if not losses[0].size or not all(np.isfinite(x).all() for x in losses):
        return True
    counts = {1, losses[0].size, ids.size, len(ids), seen.values.shape[axis]}
    factors = [f for n in counts for f in (float(n), 1.0 / n)]
    return any(
        abs(seen.value - factor * float(np.mean(x))) <= SAME * abs(seen.value)
        for factor in factors
        for x in losses
    )


def softmax_twice(seen: Seen, axis: int | None) -> Iterator[Finding]:
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


CLIPPED = 0.1
"""Share of logits that are exactly 0 from which on, with none below, they are taken for clipped."""


def clipped_logits(seen: Seen, axis: int | None) -> Iterator[Finding]:
    """Logits without a negative one, many of them exactly 0: a ReLU after the last layer."""
    values = seen.values
    if axis is None or values.size < 32 or np.any(values < 0):
        return
    share = float(np.mean(values == 0))
    if CLIPPED <= share < 1 and not np.allclose(np.sum(values, axis=axis), 1.0, atol=1e-3):
        yield Finding(
            code="clipped_logits",
            message=f"{100 * share:.0f}% of the logits are exactly 0 and none is negative: they "
            "come out of a ReLU",
            where=seen.where,
            advice="leave out the activation after the last layer: below 0 it passes no gradient, "
            "and a class can never be made less likely than that",
        )


def wrong_size(
    seen: Seen, axis: int | None, classes: int, above: float, below: float
) -> Iterator[Finding]:
    """A loss far from ln(classes), which chance gives."""
    expected = math.log(classes)
    spread = "" if axis is None else number(float(np.std(seen.values, axis=axis).mean()))
    if seen.value > (1 + above) * expected + 0.4:
        cause = f"; the logits have a standard deviation of {spread}" if spread else ""
        yield Finding(
            code="first_loss_high",
            message=f"the first loss is {number(seen.value)}, chance gives ln({classes}) = "
            f"{expected:.2f}{cause}",
            analytic=seen.value,
            numeric=expected,
            advice="initialise the output head smaller (a standard deviation of 0.02, or zero), so "
            "that the model starts without a preference",
        )
    elif seen.value < (1 - below) * expected:
        yield Finding(
            code="first_loss_low",
            message=f"the first loss is {number(seen.value)}, well below ln({classes}) = "
            f"{expected:.2f} before any training",
            analytic=seen.value,
            numeric=expected,
            advice="check that the loss is averaged only once, and that the inputs do not contain "
            "the answer (targets not shifted, a model that sees the future)",
        )
