"""The parts of a batch that a training step takes one by one: their weights, and its steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.checks.lib.capture import Seen, noting_losses
from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.lib.words import number
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.batches import samples_in, some_samples
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

Grads = dict[str, Array | None]

CLOSE = 1e-6
"""Relative difference up to which a gradient is the one that a mistake would give."""


def wrong_parts(run: Subject, whole: Grads) -> Finding | None:
    """A training step that weights unequal parts alike, or steps after each of them while the
    gradients of earlier ones are still there.

    run: at its start, in a mode without dropout. Accuses only where the gradient that the optimizer
    gets is exactly the one that the mistake gives.
    """
    before = run.state()
    run.zero_grad()
    log = StepLog(run, run.make_optimizer())
    with noting_losses(run) as seen:
        run.train_step()
    sizes = _sizes(seen, samples_in(run.to_arrays(run.batch)))
    run.optimizer = None
    if sizes is None or not log.gradients:
        return None
    if len(log.gradients) == 1:
        run.restore(before)
        return _weighted_alike(run, sizes, log.gradients[0], whole)
    if len(log.gradients) == len(sizes):
        return _steps_inside(run, sizes, log)
    return None


def _sizes(seen: Sequence[Seen], batch: int) -> list[int] | None:
    """How many samples each call of the loss had; None unless they make up the batch in order."""
    counts = [max(call.ids.size, 1) for call in seen]
    total = sum(counts)
    if len(counts) < 2 or any(c * batch % total for c in counts):
        return None
    return [c * batch // total for c in counts]


def _gradients(run: Subject, sizes: Sequence[int], at: int | None = None) -> list[Grads]:
    """The gradient of each part of the batch (of one of them) at the values that `run` has."""
    batch = run.batch
    arrays = run.to_arrays(batch)
    found, start = [], 0
    for i, size in enumerate(sizes):
        if at in (None, i):
            part = some_samples(arrays, sum(sizes), slice(start, start + size))
            run.batch = run.to_leaves(part)
            found.append(run.gradients())
        start += size
    run.batch = batch
    return found


def _weighted_alike(
    run: Subject, sizes: Sequence[int], given: Grads, whole: Grads
) -> Finding | None:
    if len(set(sizes)) == 1 or _distance(given, whole) <= CLOSE:
        return None
    each = _gradients(run, sizes)
    alike: Grads = {
        n: None if g is None else np.mean([_part(e, n) for e in each], axis=0)
        for n, g in whole.items()
    }
    if not _distance(given, alike) <= CLOSE:
        return None
    parts = ", ".join(map(str, sizes))
    off = _distance(alike, whole)
    return Finding(
        code="unequal_parts",
        message=f"the training step weights micro-batches of {parts} samples alike: the gradient "
        f"differs from that of the batch by {number(off)} of its size",
        relative_error=off,
        advice="weight the loss of each micro-batch by its share of the samples (or tokens) of the "
        "batch, not by one over their number",
        data={"sizes": list(sizes)},
    )


def _steps_inside(run: Subject, sizes: Sequence[int], log: StepLog) -> Finding | None:
    """The second step has the first one's gradient, and that of the second part besides."""
    run.restore({**run.state(), **log.before[1]})
    (fresh,) = _gradients(run, sizes, at=1)
    first, second = log.gradients[:2]
    names = [n for n, g in fresh.items() if g is not None and first.get(n) is not None]
    added: Grads = {n: _part(second, n) - _part(first, n) for n in names}
    product = sum(float(np.sum(_part(added, n) * _part(fresh, n))) for n in names)
    squares = sum(norm(_part(fresh, n)) ** 2 for n in names)
    if not squares > 0 or not any(np.any(_part(first, n)) for n in names):
        return None
    factor = product / squares
    scaled: Grads = {n: factor * _part(fresh, n) for n in names}
    if not (factor > 0 and _distance(added, scaled) <= CLOSE):
        return None
    return Finding(
        code="steps_inside",
        message=f"the training step calls optimizer.step() after each of {len(sizes)} "
        "micro-batches, while the gradients of the earlier ones are still there",
        advice="call optimizer.step() once, after the loop over micro-batches; or zero_grad() "
        "before each backward(), if each is meant to be a batch of its own",
        data={"sizes": list(sizes)},
    )


def _part(grads: Grads, name: str) -> Array:
    value = grads.get(name)
    return np.zeros(()) if value is None else value


def _distance(one: Grads, other: Grads) -> float:
    """The relative distance of all tensors together."""
    names = [n for n, g in other.items() if g is not None]
    apart = sum(norm(_part(one, n) - _part(other, n)) ** 2 for n in names)
    size = sum(norm(_part(other, n)) ** 2 for n in names)
    return float(np.sqrt(apart / max(size, 1e-300)))
