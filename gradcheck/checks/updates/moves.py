"""What one optimizer step changes: every trained parameter, no frozen one, no buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradcheck.checks.lib.about import about
from gradcheck.checks.lib.probing import Probe, norm
from gradcheck.checks.lib.watching import StepLog, held_by
from gradcheck.checks.lib.words import plural, some
from gradcheck.checks.updates.idle import rate_is
from gradcheck.checks.updates.options import UpdatesOptions
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

Values = dict[str, Array]

NOTICEABLE = 1e-12
"""Gradients below this share of the largest may be rounding of a true zero."""


def moves(
    subject: Subject, log: StepLog, before: Values, after: Values, options: UpdatesOptions
) -> Iterator[Finding]:
    """Parameters that stayed though they are trained, and moved though they are frozen."""
    moved = {n: not np.array_equal(before[n], after[n], equal_nan=True) for n in subject.parameters}
    gradients = log.gradients[0]
    held = held_by(log.optimizer, list(subject.parameters.values()))
    ids = {id(leaf) for leaf in (subject.parameters.values() if held is None else held)}
    largest = max((norm(g) for g in gradients.values() if g is not None), default=0.0)
    still = [
        n
        for n in options.trained(subject)
        if not moved[n]
        and id(subject.parameters[n]) in ids
        and _should_move(subject, n, gradients[n], largest)
    ]
    wandering = [
        n
        for n in subject.parameters
        if moved[n]
        and options.freeze(subject, n)
        and (options.declare_frozen(n) or _takes_part(subject, n))
    ]
    if still:
        without = [n for n in still if gradients[n] is None or not np.any(gradients[n])]
        then, advice = _why(subject, log, still, without)
        yield about(
            still,
            "not_moved",
            f"{len(still)} of {len(subject.parameters)} parameters did not change after one "
            f"step: {some(still)}{then}",
            advice,
        )
    if wandering:
        yield about(
            wandering,
            "frozen_moved",
            f"one step changed {plural(len(wandering), 'frozen parameter')}: {some(wandering)}",
            "leave frozen parameters out of the optimizer, or let it skip those whose "
            "requires_grad is off: weight decay and momentum move them without a gradient",
        )


def _why(
    subject: Subject, log: StepLog, still: Sequence[str], without: Sequence[str]
) -> tuple[str, str | None]:
    """(what to add about those without a gradient, advice)."""
    if not without:
        return "", (
            f"{rate_is(log)}; check that the optimizer holds the same tensors that the model uses"
        )
    who = {1: "It got no", 2: "Neither got a"}.get(len(still), "None of them got a")
    if len(without) < len(still):
        who = f"Of these, {some(without)} got no"
    if _reaches(subject, without):
        return f". {who} gradient in the training step, though the loss has one", (
            "check that backward() runs before optimizer.step(), and zero_grad() before backward()"
        )
    return f". {who} gradient; run `graph` to see why", None


def _reaches(subject: Subject, names: Sequence[str]) -> bool:
    """Whether a backward without the training step brings any of them a gradient."""
    try:
        reached = subject.fresh().gradients()
    except Exception:  # the check `graph` says what is wrong with the backward
        return False
    return any(reached[n] is not None and np.any(reached[n]) for n in names)


def _should_move(subject: Subject, name: str, grad: Array | None, largest: float) -> bool:
    """Whether a step should have moved it: by its gradient, or by the loss where there is none."""
    if grad is not None and norm(grad) > NOTICEABLE * max(largest, 1e-300):
        return True
    if grad is not None and np.any(grad):
        return False
    slope, noise = Probe(subject.fresh()).slope([name])  # where the step began
    return abs(slope) > noise


def _takes_part(subject: Subject, name: str) -> bool:
    """Whether the loss depends on a tensor: a moving average of weights is kept beside the model,
    and moves although nothing trains it."""
    probe = Probe(subject)
    return probe.matters(name, probe.run())


def buffers_moved(subject: Subject, before: Values, after: Values) -> Iterator[Finding]:
    """Buffers may change in the forward (running statistics), but not by the optimizer."""
    changed = [n for n in subject.buffers if not np.array_equal(before[n], after[n])]
    if not changed:
        return
    forward_only = subject.fresh()
    forward_only.forward()
    expected = forward_only.state()
    wrong = [n for n in changed if not np.allclose(expected[n], after[n], rtol=1e-6, atol=0)]
    if wrong:
        yield about(
            wrong,
            "buffer_moved",
            f"the optimizer step changed {plural(len(wrong), 'buffer')}: {some(wrong)}",
            "leave buffers out of the optimizer",
        )


def held(subject: Subject, log: StepLog, options: UpdatesOptions) -> Iterator[Finding]:
    """What the optimizer holds against what should train."""
    listed = held_by(log.optimizer, list(subject.parameters.values()))
    if listed is None:
        return
    ids = [id(leaf) for leaf in listed]
    names = options.trained(subject)
    missing = [n for n in names if id(subject.parameters[n]) not in ids]
    known = {id(leaf) for leaf in (*subject.parameters.values(), *subject.buffers.values())}
    strange = sum(i not in known for i in ids)
    twice = [n for n in names if ids.count(id(subject.parameters[n])) > 1]
    if missing:
        yield about(
            missing,
            "not_in_optimizer",
            f"the optimizer does not hold {len(missing)} of {len(names)} trainable "
            f"parameters: {some(missing)}",
            "give it all of model.parameters(); layers in plain lists or dicts, and layers "
            "made after the optimizer, are not in that list",
            lines=(f"{plural(strange, 'tensor')} that it holds do not belong to the model",)
            if strange
            else (),
        )
    if twice:
        yield about(
            twice,
            "twice_in_optimizer",
            f"the optimizer holds {plural(len(twice), 'parameter')} more than once: {some(twice)}",
            "give each tensor to the optimizer once, even if two layers share it",
        )
