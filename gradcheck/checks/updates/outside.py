"""What the training step does to weights besides `optimizer.step()`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.checks.lib.about import about
from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog, held_by
from gradcheck.checks.lib.words import number, plural, some
from gradcheck.checks.updates.options import UpdatesOptions
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

ROUNDING = 1e-6
"""Share of a weight's size by which a copy in float32 and back may change it."""


def changed_outside_step(
    subject: Subject, log: StepLog, after: dict[str, Array], options: UpdatesOptions
) -> Iterator[Finding]:
    """Weights that differ between the end of optimizer.step() and the end of the training step.

    after: the values when the training step returned. Constraints are not reported: weights that
    are clipped, scaled to a norm, masked or decayed.
    """
    held = held_by(log.optimizer, list(subject.parameters.values()))
    if held is None:
        return
    ids = {id(leaf) for leaf in held}
    right_after = log.after[-1]
    changed = [
        n
        for n in options.trained(subject)
        if id(subject.parameters[n]) in ids
        and norm(after[n] - right_after[n]) > ROUNDING * norm(right_after[n])
        and not _constrained(right_after[n], after[n])
    ]
    if not changed:
        return
    name = max(changed, key=lambda n: norm(after[n] - right_after[n]))
    step = norm(right_after[name] - log.before[-1][name])
    rest = norm(after[name] - right_after[name])
    yield about(
        changed,
        "changed_outside_step",
        f"the training step changes {plural(len(changed), 'parameter')} after optimizer.step() "
        f"has returned: {some(changed)}",
        "look for what writes to the weights after the step: noise, a reset, an average that is "
        "copied back; where that is intended, set `outside_step: true`",
        lines=(f"{name}: optimizer.step() changes it by {number(step)}, the rest of the training "
               f"step by {number(rest)}",),
    )  # fmt: skip


def _constrained(value: Array, now: Array) -> bool:
    """Whether `now` is `value` clipped, scaled row by row, or with entries set to zero."""
    if not np.any(now) or not np.isfinite(now).all():
        return False
    tolerance = ROUNDING * float(np.max(np.abs(value), initial=0.0))
    kept = np.abs(now - value) <= tolerance
    if kept.any() and np.all(kept | (now == 0)):
        return True
    low, high = float(now.min()), float(now.max())
    if low < high and np.allclose(now, np.clip(value, low, high), rtol=0, atol=tolerance):
        return True
    axes = [None, *range(value.ndim)]
    return any(_scaled(value, now, axis, tolerance) for axis in axes)


def _scaled(value: Array, now: Array, axis: int | None, tolerance: float) -> bool:
    """Whether every stretch along `axis` (or the whole) is the old one times a positive factor."""
    length = value.size if axis is None else value.shape[axis]
    if length < 2:
        return False
    squares = np.sum(value * value, axis=axis, keepdims=True)
    factor = np.sum(value * now, axis=axis, keepdims=True) / np.maximum(squares, 1e-300)
    return bool(np.all(factor > 0) and np.allclose(now, factor * value, rtol=0, atol=tolerance))
