"""Does one optimizer step change what it should, once, and by the right amount."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any, Literal

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options, needs_training
from gradcheck.checks.lib.probing import Probe, norm
from gradcheck.checks.lib.watching import StepLog, held_by
from gradcheck.checks.lib.words import number, plural, some
from gradcheck.checks.updates.idle import stale_buffers, stuck
from gradcheck.checks.updates.optimizer import compare_with_formula
from gradcheck.checks.updates.step_gradients import (
    changed_after_step,
    gradient_differs,
    stepped_twice,
)
from gradcheck.checks.updates.step_mode import steps_in_eval
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


class UpdatesOptions(Options):
    """Options of the check `updates`."""

    frozen: list[str] = Field(
        default=[], description="Parameters that must not move: names or patterns (emb.*)."
    )
    formula: Literal["auto", "sgd", "adam", "adamw", "rmsprop", "adagrad", "none"] = Field(
        default="auto",
        description="The rule that the optimizer must follow; auto goes by its name, none skips.",
    )
    same_gradient: bool = Field(
        default=True,
        description="The optimizer gets the gradient of the loss, at most clipped or decayed.",
    )
    steps: int = Field(default=3, ge=1, description="Steps that are compared with the formula.")
    tolerance: float = Field(
        default=1e-5, gt=0, description="Relative difference from the formula that is allowed."
    )


class Updates:
    """After one step every trainable parameter has moved, and nothing else has.

    The optimizer holds each parameter exactly once; frozen parameters and buffers stay; a second
    step from the same state sees the same gradient (it does not where `zero_grad` is missing); and
    the optimizer follows its closed form (it does not where Adam lacks its bias correction).
    """

    name = "updates"
    Options = UpdatesOptions

    def applies(self, case: Case) -> str | None:
        return needs_training(case)

    def run(self, subject: Subject, options: Any) -> Result:
        wide = subject.fresh(dtype=subject.framework.precision.data)
        before = wide.state()
        log = StepLog(wide, wide.make_optimizer())
        for _ in range(8):  # a step that accumulates over calls updates only now and then
            loss = wide.train_step()
            if log.after:
                break
        if not log.after:
            return Result(findings=(_never_stepped(),))
        after = wide.state()
        findings = [
            *stepped_twice(log),
            *changed_after_step(wide, log),
            *(gradient_differs(wide, log, loss) if options.same_gradient else ()),
            *_lists(wide, log, options),
            *_moves(wide, log, before, after, options),
            *_buffers(wide, before, after),
            *_repeat(wide, log, before),
            *steps_in_eval(wide, loss),
            *stale_buffers(wide),
        ]
        for _ in range(options.steps - len(log.after)):
            wide.train_step()
        names = [n for n in wide.parameters if not is_frozen(wide, n, options)]
        findings.extend(stuck(wide, log, names))
        formula, note = compare_with_formula(log, options)
        findings.extend(formula)
        moved = {
            n: norm(after[n] - before[n]) / max(norm(before[n]), 1e-12) for n in wide.parameters
        }
        return Result(
            findings=tuple(findings),
            measurements={"relative_change": moved, "steps": len(log.after)},
            notes=(note,) if note else (),
        )


def _never_stepped() -> Finding:
    return Finding(
        code="no_step",
        message="the training step never calls optimizer.step(), in 8 calls",
        advice="call optimizer.step() after backward()",
    )


def is_declared(name: str, options: Any) -> bool:
    return any(fnmatch(name, pattern) for pattern in options.frozen)


def is_frozen(subject: Subject, name: str, options: Any) -> bool:
    return is_declared(name, options) or not subject.framework.trainable(subject.parameters[name])


def _takes_part(subject: Subject, name: str) -> bool:
    """Whether the loss depends on a tensor: a moving average of weights is kept beside the model,
    and moves although nothing trains it."""
    probe = Probe(subject)
    return probe.matters(name, probe.run())


def _lists(subject: Subject, log: StepLog, options: Any) -> Iterator[Finding]:
    """What the optimizer holds against what ought to train."""
    held = held_by(log.optimizer, list(subject.parameters.values()))
    if held is None:
        return
    ids = [id(leaf) for leaf in held]
    names = [n for n in subject.parameters if not is_frozen(subject, n, options)]
    missing = [n for n in names if id(subject.parameters[n]) not in ids]
    known = {id(leaf) for leaf in (*subject.parameters.values(), *subject.buffers.values())}
    strange = sum(i not in known for i in ids)
    twice = [n for n in names if ids.count(id(subject.parameters[n])) > 1]
    if missing:
        yield Finding(
            code="not_in_optimizer",
            message=f"the optimizer does not hold {len(missing)} of {len(names)} trainable "
            f"parameters: {some(missing)}",
            parameter=missing[0],
            lines=(f"{plural(strange, 'tensor')} that it holds are none of the model's",)
            if strange
            else (),
            advice="give it all of model.parameters(); layers in plain lists or dicts, and layers "
            "made after the optimizer, are not in that list",
            data={"parameters": missing},
        )
    if twice:
        yield Finding(
            code="twice_in_optimizer",
            message=f"the optimizer holds {plural(len(twice), 'parameter')} more than once: "
            f"{some(twice)}",
            parameter=twice[0],
            advice="give each tensor to the optimizer once, also when two layers share it",
            data={"parameters": twice},
        )


def _moves(
    subject: Subject,
    log: StepLog,
    before: dict[str, Array],
    after: dict[str, Array],
    options: Any,
) -> Iterator[Finding]:
    still, wandering = [], []
    gradients = log.gradients[0]
    largest = max((norm(g) for g in gradients.values() if g is not None), default=0.0)
    held = held_by(log.optimizer, list(subject.parameters.values()))
    ids = None if held is None else {id(leaf) for leaf in held}
    for name, leaf in subject.parameters.items():
        moved = not np.array_equal(before[name], after[name], equal_nan=True)
        if is_frozen(subject, name, options):
            if moved and (is_declared(name, options) or _takes_part(subject, name)):
                wandering.append(name)
            continue
        grad = gradients[name]
        if moved or (ids is not None and id(leaf) not in ids):
            continue
        if grad is not None and norm(grad) > 1e-12 * max(largest, 1e-300):
            still.append(name)
        elif grad is None or not np.any(grad):
            slope, noise = Probe(subject.fresh()).slope([name])  # where the step began
            if abs(slope) > noise:
                still.append(name)
    if still:
        without = [n for n in still if gradients[n] is None or not np.any(gradients[n])]
        why = f"; {some(without)} got no gradient (the check `graph` says why)" if without else ""
        yield Finding(
            code="not_moved",
            message=f"{len(still)} of {len(subject.parameters)} parameters did not move in one "
            f"step: {some(still)}{why}",
            parameter=still[0],
            advice="see that backward() runs before optimizer.step(), that the learning rate is "
            "not 0, and that the optimizer holds the very tensors that the model computes with",
            data={"parameters": still},
        )
    if wandering:
        yield Finding(
            code="frozen_moved",
            message=f"{plural(len(wandering), 'frozen parameter')} moved in one step: "
            f"{some(wandering)}",
            parameter=wandering[0],
            advice="leave frozen parameters out of the optimizer, or let it skip those whose "
            "requires_grad is off: weight decay and momentum move them without a gradient",
            data={"parameters": wandering},
        )


def _buffers(
    subject: Subject, before: dict[str, Array], after: dict[str, Array]
) -> Iterator[Finding]:
    """Buffers may change in the forward (running statistics), but not by the optimizer."""
    changed = [n for n in subject.buffers if not np.array_equal(before[n], after[n])]
    if not changed:
        return
    forward_only = subject.fresh()
    forward_only.forward()
    expected = forward_only.state()
    wrong = [n for n in changed if not np.allclose(expected[n], after[n], rtol=1e-6, atol=0)]
    if wrong:
        yield Finding(
            code="buffer_moved",
            message=f"the step changed {plural(len(wrong), 'buffer')} that is no parameter: "
            f"{some(wrong)}",
            parameter=wrong[0],
            advice="leave buffers out of the optimizer",
        )


def _repeat(subject: Subject, log: StepLog, before: dict[str, Array]) -> Iterator[Finding]:
    """The gradient of a second step that starts from the very same state."""
    subject.restore(before)
    count = len(log.gradients)
    for _ in range(8):
        subject.train_step()
        if len(log.gradients) > count:
            break
    else:
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
            continue  # nobody clears what the optimizer does not hold: that is told already
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
        else "look for state that survives a step: a missing zero_grad, a cache, a generator that "
        "is not seeded",
    )
