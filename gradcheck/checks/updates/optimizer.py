"""An optimizer's steps against the closed form of the rule that it is named after."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.lib.words import number
from gradcheck.checks.updates.formulas import FORMS, SLIPS
from gradcheck.result import Finding


def compare_with_formula(
    log: StepLog, wanted: str, tolerance: float
) -> tuple[list[Finding], str | None]:
    """Compare the logged steps with the rule: (findings, a note if that was not possible).

    wanted: the name of a rule, 'auto' or 'none'.

    Every step starts from the values that the optimizer really had, so the steps may have been
    taken from anywhere; only the gradients must have come in this order.
    """
    subject = log.subject
    spec = subject.optimizer_spec
    if wanted == "none":
        return [], None
    form = _form(wanted, spec.name, log.optimizer)
    if form is None:
        return [], f"no closed form is known for optimizer {spec.name}; set `formula:` to compare"
    given = {**_defaults(spec.factory), **spec.args}
    if "lr" not in given and not any("lr" in s for s in log.settings):
        return [], f"the learning rate of optimizer {spec.name} is not visible (no `lr`)"
    allowed = max(tolerance, 1e4 * subject.eps)
    worst, name, step, moved, expected = _worst(log, FORMS[form], given, allowed)
    if worst <= allowed:
        return [], None
    slip = next((text for rule, text in SLIPS[form] if _worst(log, rule, given)[0] <= 1e-4), None)
    finding = Finding(
        code="optimizer_formula",
        message=f"optimizer {spec.name} does not follow the formula of {form}: at step {step + 1} "
        f"it moves {name} by {number(moved)}, the formula by {number(expected)}"
        + (f"; {slip}" if slip else ""),
        parameter=name,
        analytic=moved,
        numeric=expected,
        relative_error=worst,
        advice="compare its update line by line with the paper's; the moments start at 0 and the "
        "step count at 1",
    )
    return [finding], None


def _form(wanted: str, name: str, optimizer: Any) -> str | None:
    if wanted != "auto":
        return wanted
    for word in (name, type(optimizer).__name__):
        tokens = [t for t in re.split(r"[^a-z0-9]+", word.lower()) if t]
        for form in sorted(FORMS, key=len, reverse=True):
            if any(_named(token, form) for token in [*tokens, "".join(tokens)]):
                return form
    return None


OTHERS = ("nadam", "radam", "asgd")
"""Rules of their own whose names end in that of another."""


def _named(token: str, form: str) -> bool:
    """'my_adam', 'FusedAdam' and 'sgd2' match; 'adamax' is another rule."""
    token = token.rstrip("0123456789")
    return token.endswith(form) and token not in OTHERS


def _defaults(factory: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _worst(
    log: StepLog, rule: type[Any], given: dict[str, Any], allowed: float = np.inf
) -> tuple[float, str, int, float, float]:
    """The largest relative difference of a move: (error, parameter, step, moved, expected), of the
    first step at which it is more than `allowed`.

    Every step starts from the values that the optimizer really had; the rule's memory goes on.
    """
    worst = (0.0, "", 0, 0.0, 0.0)
    rules: dict[str, Any] = {}
    for step, (before, after, gradients, held, groups) in enumerate(
        zip(log.before, log.after, log.gradients, log.settings, log.groups)
    ):
        if worst[0] > allowed:
            break
        for name, gradient in gradients.items():
            if gradient is None or not log.subject.framework.trainable(log.subject.leaves[name]):
                continue
            memory = rules.setdefault(name, rule())
            settings = {**given, **held, **groups.get(name, {})}
            if settings.get("maximize"):
                gradient = -gradient
            with np.errstate(all="ignore"):
                expected = memory(before[name], gradient, settings) - before[name]
            moved = after[name] - before[name]
            if not np.any(moved):  # not held, or a true zero: reported elsewhere
                continue
            rounding = 1e-15 * norm(before[name])
            error = (norm(moved - expected) - rounding) / max(norm(expected), 1e-300)
            if error > worst[0]:
                i = int(np.argmax(np.abs(moved - expected)))
                worst = (error, name, step, float(moved.flat[i]), float(expected.flat[i]))
    return worst
