"""Does one optimizer step change what it should, once, and by the right amount."""

from __future__ import annotations

from gradcheck.checks.base import needs_training
from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.updates.idle import not_finite, nothing_moved, stale_buffers, stuck
from gradcheck.checks.updates.moves import Values, buffers_moved, held, moves
from gradcheck.checks.updates.optimizer import compare_with_formula
from gradcheck.checks.updates.options import UpdatesOptions
from gradcheck.checks.updates.outside import changed_outside_step
from gradcheck.checks.updates.step_gradients import (
    changed_after_step,
    differs_when_repeated,
    gradient_differs,
    stepped_twice,
)
from gradcheck.checks.updates.step_mode import steps_in_eval
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case

CALLS = 8
"""Calls of the training step after which it should have updated once, even if it accumulates."""


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

    def run(self, subject: Subject, options: UpdatesOptions) -> Result:
        wide = subject.fresh(dtype=subject.framework.precision.data)
        before = wide.state()
        log = StepLog(wide, wide.make_optimizer())
        loss = log.until_stepped(CALLS)
        if loss is None:
            return Result(findings=(_never_stepped(),))
        after = wide.state()
        if log.several:
            return _of_several(wide, log, before, after, options)
        differs, said = gradient_differs(wide, log, loss) if options.same_gradient else ([], "")
        findings = [
            *stepped_twice(log),
            *changed_after_step(wide, log),
            *differs,
            *held(wide, log, options),
            *moves(wide, log, before, after, options),
            *buffers_moved(wide, before, after),
            *(() if options.outside_step else changed_outside_step(wide, log, after, options)),
            *differs_when_repeated(wide, log, before, CALLS),
            *steps_in_eval(wide, loss),
            *stale_buffers(wide),
        ]
        for _ in range(options.steps - len(log.after)):
            wide.train_step()
        findings.extend(stuck(wide, log, options.trained(wide)))
        formula, note = compare_with_formula(log, options.formula, options.tolerance)
        findings.extend(formula)
        if not findings:
            findings.extend(not_finite(log, options.trained(wide)))
            findings.extend(nothing_moved(log, options.trained(wide)))
        moved = {
            n: norm(after[n] - before[n]) / max(norm(before[n]), 1e-12) for n in wide.parameters
        }
        return Result(
            findings=tuple(findings),
            measurements={"relative_change": moved, "steps": len(log.after)},
            notes=tuple(n for n in (note, said) if n),
        )


def _of_several(
    subject: Subject, log: StepLog, before: Values, after: Values, options: UpdatesOptions
) -> Result:
    """What can be said where each optimizer has a loss of its own, which only the step knows."""
    trained = options.trained(subject)
    findings = [
        *held(subject, log, options),
        *moves(subject, log, before, after, options),
        *buffers_moved(subject, before, after),
        *not_finite(log, trained),
    ]
    if not findings:
        findings.extend(nothing_moved(log, trained))
    note = (
        "the training step gets several optimizers: whether they are given the gradients of their "
        "losses, and follow their formulas, was not checked"
    )
    measurements = {"steps": len(log.after)}
    return Result(findings=tuple(findings), measurements=measurements, notes=(note,))


def _never_stepped() -> Finding:
    return Finding(
        code="no_step",
        message=f"the training step never calls optimizer.step(), in {CALLS} calls",
        advice="call optimizer.step() after backward(); where there are several optimizers, each "
        "must step",
    )
