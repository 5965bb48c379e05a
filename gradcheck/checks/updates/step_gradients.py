"""Is what the optimizer gets the gradient of the loss: once, whole, and before the step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.lib.words import number, some
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

Grads = dict[str, Array | None]


def stepped_twice(log: StepLog) -> Iterator[Finding]:
    """`log` holds the steps of one call of the training step."""
    if len(log.gradients) < 2:
        return
    first, second = log.gradients[:2]
    seen = [n for n, g in first.items() if g is not None and np.any(g)]
    if not seen or any(not _same(first[n], second[n]) for n in seen):
        return
    yield Finding(
        code="stepped_twice",
        message="the training step calls optimizer.step() twice with the very same gradients",
        advice="call optimizer.step() once for each backward(): moments and step counts of the "
        "optimizer go wrong as well",
    )


def changed_after_step(subject: Subject, log: StepLog) -> Iterator[Finding]:
    """Called right after the training step: clipping that comes too late."""
    left, now = log.left[-1], subject.grads()
    changed = [
        n
        for n, g in left.items()
        if g is not None and np.any(g) and np.any(now[n]) and not _same(g, now[n])
    ]
    if not changed:
        return
    name = changed[0]
    before, after = left[name], now[name]
    assert before is not None
    assert after is not None
    yield Finding(
        code="changed_after_step",
        message=f"the training step changes gradients after optimizer.step(), where it has no "
        f"effect any more: {some(changed)}",
        parameter=name,
        lines=(f"norm of the gradient of {name}: {number(norm(before))}, then "
               f"{number(norm(after))}",),
        advice="clip or scale gradients between backward() and optimizer.step()",
    )  # fmt: skip


def gradient_differs(subject: Subject, log: StepLog, loss: float) -> Iterator[Finding]:
    """Between backward and step a gradient may be clipped, or decayed, and nothing else.

    loss: what the training step returned. Where it is not the loss of the case's step on this
    batch, the step optimizes something else and there is nothing to compare.
    """
    if len(log.gradients) != 1:
        return
    run = subject.fresh()
    value = np.asarray(run.value(run.forward()))
    eps = subject.eps
    if value.size != 1 or not abs(float(value.reshape(())) - loss) <= 1e3 * eps * max(1, abs(loss)):
        return
    given, whole, tolerance = log.gradients[0], run.gradients(), 1e6 * eps
    pairs = {
        n: (given[n], g)
        for n, g in whole.items()
        if g is not None and given.get(n) is not None and np.any(given[n])
    }
    largest = max((norm(g) for _, g in pairs.values()), default=0.0)
    apart = {
        n: norm(mine - g) / max(norm(g), 1e-6 * largest, 1e-300) for n, (mine, g) in pairs.items()
    }
    wrong = [n for n in apart if apart[n] > tolerance]
    if not wrong or _clipped(pairs, tolerance) or _decayed(pairs, log.before[0], tolerance):
        return
    name = max(wrong, key=lambda n: apart[n])
    mine, g = pairs[name]
    assert mine is not None
    assert g is not None
    ratio = float(np.sum(mine * g) / max(float(np.sum(g * g)), 1e-300))
    what = f"another than that of the loss: it differs by {number(apart[name])} of its size"
    if norm(mine - ratio * g) < 1e-3 * norm(mine):
        what = f"{number(ratio)} times that of the loss"
    yield Finding(
        code="gradient_differs",
        message=f"the gradient that the optimizer gets for {name} is {what}",
        parameter=name,
        analytic=norm(mine),
        numeric=norm(g),
        lines=(f"so for {len(wrong)} of {len(pairs)} parameters: {some(wrong)}",),
        advice="look at what the training step and the hooks do to .grad between backward() and "
        "step(); where it is meant (noise, rates of their own), set `same_gradient: false`",
        data={"parameters": wrong},
    )


Pairs = dict[str, tuple[Array | None, Array]]


def _clipped(pairs: Pairs, tolerance: float) -> bool:
    """By the norm of all together, by that of each tensor, or entry by entry."""
    ratios, norms, largest = [], [], []
    free = 0.0  # the largest norm that was left as it was
    for mine, g in pairs.values():
        assert mine is not None
        ratio = float(np.sum(mine * g) / max(float(np.sum(g * g)), 1e-300))
        parallel = norm(mine - ratio * g) <= 10 * tolerance * norm(g)
        ratios.append(ratio if parallel and ratio > 0 else np.nan)
        if abs(ratio - 1) < tolerance:
            free = max(free, norm(mine))
        else:
            norms.append(norm(mine))
        largest.append(float(np.max(np.abs(mine))))
    if np.allclose(ratios, ratios[0], rtol=1e-3):
        return True  # one factor for all: `accumulation` judges it
    one_bound = bool(norms) and np.allclose(norms, norms[0], rtol=1e-3) and free <= 1.001 * norms[0]
    if max(ratios) <= 1 + tolerance and one_bound:
        return True
    bound = max(largest)
    return all(
        np.allclose(mine, np.clip(g, -bound, bound), rtol=1e-3, atol=tolerance * bound)
        for mine, g in pairs.values()
        if mine is not None
    )


def _decayed(pairs: Pairs, values: dict[str, Array], tolerance: float) -> bool:
    """The values themselves were added, times one factor (for some tensors none)."""
    factors = []
    for name, (mine, g) in pairs.items():
        assert mine is not None
        rest, w = mine - g, values[name]
        if norm(rest) <= tolerance * norm(g):
            continue
        factor = float(np.sum(rest * w) / max(float(np.sum(w * w)), 1e-300))
        if norm(rest - factor * w) > 1e-3 * norm(rest):
            return False
        factors.append(factor)
    return np.allclose(factors, factors[0], rtol=1e-3)


def _same(a: Array | None, b: Array | None) -> bool:
    return a is not None and b is not None and np.array_equal(a, b, equal_nan=True)
