"""Is what the optimizer gets the gradient of the loss: once, whole, and before the step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gradcheck.checks.lib.about import about
from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog, held_by
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
        message="the training step calls optimizer.step() twice with the same gradients",
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
    was, now_is = number(norm(before)), number(norm(after))
    yield about(
        changed,
        "changed_after_step",
        "the training step changes gradients after optimizer.step(), too late to have an effect: "
        f"{some(changed)}",
        "clip or scale gradients between backward() and optimizer.step()",
        lines=(f"norm of the gradient of {name}: {was}, then {now_is}",),
    )


def differs_when_repeated(
    subject: Subject, log: StepLog, before: dict[str, Array], calls: int
) -> Iterator[Finding]:
    """A second step from the same state must see the same gradient."""
    subject.restore(before)
    count = len(log.gradients)
    if log.until_stepped(calls) is None:
        return
    first, second = log.gradients[0], log.gradients[count]
    eps = float(np.finfo(subject.framework.precision.gradients).eps)
    largest = max((norm(g) for g in first.values() if g is not None), default=0.0)
    held = held_by(log.optimizer, list(subject.parameters.values()))
    ids = None if held is None else {id(leaf) for leaf in held}
    worst, name = 0.0, ""
    for n, g in first.items():
        again = second[n]
        if g is None or again is None:
            continue
        if ids is not None and id(subject.leaves[n]) not in ids:
            continue  # nobody clears what the optimizer does not hold; `held` reports that
        difference = norm(again - g) / max(norm(g), 1e-6 * largest, 1e-300)
        if difference > worst:
            worst, name = difference, n
    if worst <= 1e5 * eps:
        return
    g, again = first[name], second[name]
    assert g is not None
    assert again is not None
    ratio = float(np.sum(g * again) / max(np.sum(g * g), 1e-300))
    doubled = abs(ratio - 2) < 0.05
    yield Finding(
        code="gradient_accumulates" if doubled else "gradient_not_repeatable",
        message="the second step from the same state and the same batch has "
        + (
            "twice the gradient of the first: gradients of earlier steps are still there"
            if doubled
            else f"another gradient: it differs by {number(worst)} of its size at {name}"
        ),
        parameter=name,
        analytic=norm(again),
        numeric=norm(g),
        lines=(f"norm of the gradient of {name}: {number(norm(g))}, then {number(norm(again))}",),
        advice="call optimizer.zero_grad() before every backward()"
        if doubled
        else "look for state that survives a step: a missing zero_grad, a cache, an unseeded "
        "generator",
    )


def gradient_differs(subject: Subject, log: StepLog, loss: float) -> tuple[list[Finding], str]:
    """Between backward and step a gradient may be clipped, or decayed, and nothing else: (findings,
    a note or '').

    loss: what the training step returned. Where it is not the loss of the case's step on this
    batch, the step optimizes something else and there is nothing to compare.
    """
    if len(log.gradients) != 1:
        return [], "the training step takes several steps: its gradients were not compared"
    run = subject.fresh()
    value = np.asarray(run.value(run.forward()))
    eps = subject.eps
    if value.size != 1 or not abs(float(value.reshape(())) - loss) <= 1e3 * eps * max(1, abs(loss)):
        return [], ""
    pairs = _pairs(log.gradients[0], run.gradients())
    tolerance = 1e6 * eps
    largest = max((norm(g) for _, g in pairs.values()), default=0.0)
    apart = {
        n: norm(mine - g) / max(norm(g), 1e-6 * largest, 1e-300) for n, (mine, g) in pairs.items()
    }
    wrong = [n for n in apart if apart[n] > tolerance]
    if not wrong:
        return [], ""
    factor = _one_factor(pairs, tolerance)
    if factor is not None:
        return _scaled(subject, pairs, factor), ""
    if _clipped_by_entry(pairs, tolerance) or _decayed(pairs, log.before[0], tolerance):
        return [], ""
    bound = _clipped_one_by_one(pairs, tolerance)
    if bound is not None:
        return [], (
            f"the gradient of each tensor is clipped by itself, to a norm of {number(bound)}: that "
            "turns the step; clipping all of them together by their joint norm keeps its direction"
        )
    name = max(wrong, key=lambda n: apart[n])
    mine, g = pairs[name]
    ratio = float(np.sum(mine * g) / max(float(np.sum(g * g)), 1e-300))
    what = f"not that of the loss: it differs by {number(apart[name])} of its size"
    if norm(mine - ratio * g) < 1e-3 * norm(mine):
        what = f"{number(ratio)} times that of the loss"
    return [
        Finding(
            code="gradient_differs",
            message=f"the gradient that the optimizer gets for {name} is {what}",
            parameter=name,
            analytic=norm(mine),
            numeric=norm(g),
            lines=(f"the same holds for {len(wrong)} of {len(pairs)} parameters: {some(wrong)}",),
            advice="look at what the training step and the hooks do to .grad between backward() "
            "and step(); where that is intended (noise, rates per layer), set "
            "`same_gradient: false`",
            data={"parameters": wrong},
        )
    ], ""


Pairs = dict[str, tuple[Array, Array]]


def _pairs(given: Grads, whole: Grads) -> Pairs:
    """(what the optimizer gets, the gradient of the loss) where both are there."""
    found: Pairs = {}
    for name, g in whole.items():
        mine = given.get(name)
        if g is not None and mine is not None and np.any(mine):
            found[name] = (mine, g)
    return found


def _joint(parts: Iterable[Array]) -> float:
    return float(np.sqrt(sum(norm(p) ** 2 for p in parts)))


def _factor(mine: Array, g: Array, tolerance: float) -> float:
    """The factor between parallel gradients; NaN where they are not parallel."""
    ratio = float(np.sum(mine * g) / max(float(np.sum(g * g)), 1e-300))
    return ratio if norm(mine - ratio * g) <= 10 * tolerance * norm(g) else float("nan")


def _one_factor(pairs: Pairs, tolerance: float) -> float | None:
    """The positive factor that all gradients have in common."""
    ratios = [_factor(mine, g, tolerance) for mine, g in pairs.values()]
    alike = ratios and ratios[0] > 0 and np.allclose(ratios, ratios[0], rtol=1e-3)
    return ratios[0] if alike else None


SAME_FACTOR = 1e-4
"""Relative difference up to which two factors are one and the same."""


def _scaled(subject: Subject, pairs: Pairs, factor: float) -> list[Finding]:
    """A factor that is the same on another batch scales the gradient; clipping would keep the
    norm. Where both batches have the same norm nothing can be told."""
    other = _on_another_batch(subject)
    if other is None:
        return []
    again = _one_factor(other, 1e6 * subject.eps)
    sizes = [_joint(g for _, g in each.values()) for each in (pairs, other)]
    if again is None or abs(again - factor) > SAME_FACTOR * factor:
        return []
    if abs(sizes[0] - sizes[1]) <= 1e2 * SAME_FACTOR * sizes[0]:
        return []
    name = next(iter(pairs))
    mine, g = pairs[name]
    return [
        Finding(
            code="gradient_scaled",
            message=f"the optimizer gets {number(factor)} times the gradient of the loss, on two "
            "batches alike",
            parameter=name,
            analytic=norm(mine),
            numeric=norm(g),
            lines=(
                f"norm of all gradients: {number(factor * sizes[0])} and "
                f"{number(factor * sizes[1])} instead of {number(sizes[0])} and "
                f"{number(sizes[1])}; clipping would keep the norm, not the factor",
            ),
            advice="look for a loss that is scaled before backward() and not scaled back, or "
            "scaled back twice, and for a mean that is taken twice; where it is intended, set "
            "`same_gradient: false`",
            data={"ratio": factor},
        )
    ]


def _on_another_batch(subject: Subject) -> Pairs | None:
    """What the optimizer gets, and the gradient, on the second batch of the data."""
    if not subject.has_data:
        return None
    plain, trained = subject.fresh(), subject.fresh()
    for run in (plain, trained):
        run.batch = list(run.batches(2))[1]
    log = StepLog(trained, trained.make_optimizer())
    if log.until_stepped(CALLS) is None or len(log.gradients) != 1:
        return None
    return _pairs(log.gradients[0], plain.gradients())


CALLS = 8
"""Calls of the training step after which it should have updated once, even if it accumulates."""


def _clipped_one_by_one(pairs: Pairs, tolerance: float) -> float | None:
    """The norm to which each tensor is clipped by itself, those below it left alone."""
    norms, free = [], 0.0
    for mine, g in pairs.values():
        ratio = _factor(mine, g, tolerance)
        if not 0 < ratio <= 1 + tolerance:
            return None
        if abs(ratio - 1) < tolerance:
            free = max(free, norm(mine))
        else:
            norms.append(norm(mine))
    if not norms or not np.allclose(norms, norms[0], rtol=1e-3) or free > 1.001 * norms[0]:
        return None
    return norms[0]


def _clipped_by_entry(pairs: Pairs, tolerance: float) -> bool:
    bound = max(float(np.max(np.abs(mine))) for mine, _ in pairs.values())
    return all(
        np.allclose(mine, np.clip(g, -bound, bound), rtol=1e-3, atol=tolerance * bound)
        for mine, g in pairs.values()
    )


def _decayed(pairs: Pairs, values: dict[str, Array], tolerance: float) -> bool:
    """The values themselves were added, times one factor (for some tensors none)."""
    factors = []
    for name, (mine, g) in pairs.items():
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
