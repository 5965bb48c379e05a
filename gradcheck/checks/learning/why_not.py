"""Why a model does not memorise a batch, other than by its learning rate: measured, not guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.checks.graph.findings import result as graph_result
from gradcheck.checks.graph.options import GraphOptions
from gradcheck.checks.graph.run import inspect_graph
from gradcheck.checks.learning.lr_sweep import Sweep, Trial, train_at
from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.watching import StepLog, settings
from gradcheck.checks.lib.words import number
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject, SubjectError
from gradcheck.result import Finding

ALONG = 0.5
"""Cosine above which a step goes along the gradient: plain steps have 1, signs of it about 0.8."""
CALLS = 8
"""Calls of the training step after which it should have updated once, even if it accumulates."""
CAUSES = ("cut", "disconnected", "nothing_trains", "stretched_loss")
"""Findings of `graph` behind which nothing can be said about a learning rate."""


@dataclass(frozen=True)
class Failed:
    """A training that did not reach its goal. losses: before each step and after the last.
    finding: what stopped it early, if anything."""

    subject: Subject
    losses: Sequence[float]
    goal: float
    finding: Finding | None

    @property
    def message(self) -> str:
        if self.finding is not None:
            return f"{self.finding.message}: training diverged"
        return (
            f"after {len(self.losses) - 1} steps on one batch the loss is "
            f"{number(self.losses[-1])}, not below {number(self.goal)}"
        )

    @property
    def own(self) -> Trial:
        """The run as a trial of the case's own rate."""
        if self.finding is not None or not math.isfinite(self.losses[-1]):
            return Trial(self.losses[0], math.inf, len(self.losses) - 1)
        return Trial(self.losses[0], self.losses[-1])


def why_not(failed: Failed) -> Finding | None:
    """The first cause that shows without trying other rates."""
    for look in LOOKS:
        found = look(failed)
        if found is not None:
            return found
    return None


def _behind_a_cut(failed: Failed) -> Finding | None:
    """What `graph` finds: parameters that get no gradient, or a part of it."""
    try:
        found = graph_result(inspect_graph(failed.subject.fresh(), GraphOptions())).findings
    except Exception:  # the check `graph` says why it cannot be traced
        return None
    cause = next((f for f in found if f.code in CAUSES), None)
    if cause is None:
        return None
    return Finding(
        code="not_overfit",
        message=f"{failed.message}; {cause.message}, so nothing can be said about the rate",
        parameter=cause.parameter,
        op=cause.op,
        where=cause.where,
        lines=cause.lines[:3],
        advice=f"repair that first: {cause.advice}",
        data={"cause": cause.code},
    )


def _climbs(failed: Failed) -> Finding | None:
    """The first update goes up the gradient of the loss."""
    run = failed.subject.fresh(dtype=failed.subject.framework.precision.data)
    try:
        gradient = run.gradients()
        run.zero_grad()
        log = StepLog(run, run.make_optimizer())
        if log.until_stepped(CALLS) is None:
            return None
    except Exception:  # the checks `graph` and `updates` say what cannot run
        return None
    names = [n for n, g in gradient.items() if g is not None and np.all(np.isfinite(g))]
    moved = [log.after[0][n] - log.before[0][n] for n in names]
    true = [_array(gradient[n]) for n in names]
    given = [_array(log.gradients[0].get(n), like=m) for n, m in zip(names, moved)]
    along = _cosine(moved, true)
    if not along > ALONG:
        return None
    by_optimizer = _cosine(moved, given) > ALONG
    if settings(log.optimizer).get("maximize"):
        advice = "leave out maximize=True: it is for a quantity that must grow"
    elif by_optimizer:
        advice = "subtract the gradient in the optimizer: w = w - lr * g"
    else:
        advice = (
            "call backward() on the loss itself, not on its negative; the optimizer subtracts the "
            "gradient already"
        )
    who = "the optimizer adds" if by_optimizer else "the optimizer is given the negative of"
    rise = sum(float(np.sum(m * g)) for m, g in zip(moved, true))
    return Finding(
        code="climbs",
        message=f"{failed.message}; training climbs: {who} the gradient of the loss",
        numeric=rise,
        lines=(
            f"the first update has a cosine of {number(along)} with the gradient: to first order "
            f"the loss changes by {rise:+.3g}",
        ),
        advice=advice,
    )


def _another_loss(failed: Failed) -> Finding | None:
    """The loss that the training step returns is at the goal, that of the case's step is not."""
    if failed.finding is not None:
        return None
    last = failed.losses[-1]
    trained = failed.subject.train_step()
    if not (trained <= failed.goal and abs(last - trained) > 0.1 * max(abs(last), abs(trained))):
        return None
    return Finding(
        code="not_overfit",
        message=f"{failed.message}; but the training step returns {number(trained)} for the same "
        "batch and weights: it trains on another loss or on other labels",
        analytic=trained,
        numeric=last,
        advice="compare what the training step gives to the model and to the loss with the batch: "
        "labels that are shuffled, cut or changed in the step are not those of the data",
    )


LOOKS: tuple[Callable[[Failed], Finding | None], ...] = (_behind_a_cut, _climbs, _another_loss)
"""In this order: nothing is certain behind a cut."""


def dominating_decay(failed: Failed, found: Sweep | None, steps: int) -> Finding | None:
    """No rate helps, and without weight decay the goal is reached."""
    if found is None or found.better is not None:
        return None
    subject = failed.subject
    try:
        decay = settings(subject.make_optimizer()).get("weight_decay")
        if not isinstance(decay, (int, float)) or not decay > 0:
            return None
        # at low rates too: without decay the same gradient may call for another one
        for rate in (found.rate, found.rate * 10, found.rate / 10):
            trial = train_at(subject, steps, lr=rate, weight_decay=0.0)
            if trial.final <= failed.goal:
                break
        else:
            return None
    except (TypeError, SubjectError):  # not arguments of this optimizer
        return None
    at = "" if rate == found.rate else f" and lr {rate:.1g}"
    return Finding(
        code="decay_dominates",
        message=f"{failed.message}; the weight decay of {decay:g} dominates: with weight_decay 0"
        f"{at} the loss gets to {number(trial.final)} from the same start",
        lines=(found.row(),),
        advice="lower weight_decay; 0.01 to 0.1 is usual with AdamW, 1e-5 to 1e-3 with SGD",
    )


def _array(value: Array | None, like: Array | None = None) -> Array:
    if value is not None:
        return value
    return np.zeros(()) if like is None else np.zeros_like(like)


def _cosine(one: Sequence[Array], other: Sequence[Array]) -> float:
    product = sum(float(np.sum(a * b)) for a, b in zip(one, other))
    sizes = math.hypot(*map(norm, one)) * math.hypot(*map(norm, other))
    return product / sizes if sizes > 0 and math.isfinite(sizes) else float("nan")
