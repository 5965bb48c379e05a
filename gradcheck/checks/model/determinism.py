"""Does the same seed give the same result, and does eval mode need no seed at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.outputs import all_values
from gradcheck.checks.lib.repeated_mask import repeated_mask
from gradcheck.checks.lib.running import (
    first_difference,
    in_eval,
    largest,
    needs_data,
    tolerance,
    watched,
)
from gradcheck.checks.lib.words import apart, number, some
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.source.line import short_place
from gradcheck.yamlcases.case import Case


class DeterminismOptions(Options):
    """Options of the check `determinism`."""

    steps: int = Field(default=2, ge=0, description="Training steps that are repeated.")
    tolerance: float = Field(
        default=1e-6, ge=0, description="Relative difference of losses that is allowed."
    )


class Determinism:
    """Eval mode has nothing random; train mode repeats with its seed, whatever ran before.

    Catches dropout that stays active in eval mode, and generators that layers share or that no seed
    reaches, so that a result depends on what else has run; and masks that never change.
    """

    name = "determinism"
    Options = DeterminismOptions

    def applies(self, case: Case) -> str | None:
        return needs_data(case)

    def run(self, subject: Subject, options: DeterminismOptions) -> Result:
        findings = [
            *_building(subject),
            *_eval(subject),
            *_forward(subject),
            *_masks(subject),
        ]
        if not findings:
            mask = repeated_mask(subject)
            findings += [mask] if mask else []
        if not findings and options.steps and subject.has_optimizer:
            findings.extend(_training(subject, options))
        return Result(findings=tuple(findings))


def _building(subject: Subject) -> Iterator[Finding]:
    """Two models from the same seed, with another in between, start from the same values."""
    first = subject.fresh()
    subject.fresh(seed=subject.seed + 1)
    second = subject.fresh()
    different = [
        n
        for n in first.parameters
        if n not in second.parameters or not np.array_equal(first.get(n), second.get(n))
    ]
    if different:
        yield Finding(
            code="depends_on_history",
            message="the same seed gives other initial values when another model was made before: "
            f"{some(different)}",
            parameter=different[0],
            advice="draw initial values from the framework's generator, or from one that each "
            "layer makes of a seed; a generator shared by layers or kept in a module remembers "
            "what ran before",
        )


def _eval(subject: Subject) -> Iterator[Finding]:
    """Two seeds, the same output."""
    run = in_eval(subject)
    first = watched(run, run.predict)
    base = all_values(run, first.output)
    if largest(_apart(base, all_values(run, run.predict()))) > tolerance(run, base):
        yield Finding(
            code="not_repeatable",
            message="in eval mode the same input gives a different output the second time",
            advice="look for state that a forward leaves behind: a hidden state, a cache, a "
            "generator that a layer keeps",
        )
        return
    run.seed += 1
    second = watched(run, run.predict)
    change = largest(_apart(base, all_values(run, second.output)))
    if not change > tolerance(run, base):
        return

    def whole(array: Array) -> Array:
        return array

    blame = first_difference(run, first, second, whole)
    yield Finding(
        code="random_in_eval",
        message=f"in eval mode the output depends on the seed: it changes by {number(change)}"
        + (f"; first at {blame}" if blame else ""),
        op=blame.op if blame else None,
        where=blame.where if blame else None,
        advice="switch dropout and other noise off when self.training is False, and check that "
        "eval() reaches every layer: it does not reach those in plain lists and dicts",
    )


def _forward(subject: Subject) -> Iterator[Finding]:
    """The same seed, the same loss, twice on the same model, in the case's mode."""
    run = subject.fresh(dtype=subject.framework.precision.data)
    first, second = (run.value(run.forward()) for _ in range(2))
    change = largest(_apart(first, second))
    if change > tolerance(run, first):
        one, other = apart(_one(first), _one(second))
        yield Finding(
            code="not_repeatable",
            message=f"the same seed gives a different loss the second time: {one}, then {other}",
            advice="draw dropout masks from the framework's generator, which the seed resets, "
            "not from one that a layer keeps; look for caches that a forward changes",
        )


def _masks(subject: Subject) -> Iterator[Finding]:
    """Another seed must give another dropout mask."""
    if not subject.training:
        return
    run = subject.fresh()
    tapes = []
    for _ in range(2):
        try:
            tapes.append(run.tape(run.forward()) or [])
        except Exception:  # a step that frees its graph: there is nothing to read
            return
        run.seed += 1
    for one, other in zip(*tapes):
        if one.name != "dropout" or other.name != "dropout":
            continue
        for mask, again in zip(one.inputs, other.inputs):
            if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.size < 16:
                continue
            if mask.any() and not mask.all() and np.array_equal(mask, again):
                yield Finding(
                    code="mask_repeats",
                    message="dropout has the same mask whatever the seed: always the same "
                    "units are dropped",
                    op=one.name,
                    where=short_place(one.where),
                    advice="draw the mask from the framework's generator, not from one that "
                    "every forward makes again with a fixed seed",
                )
                return


def _training(subject: Subject, options: DeterminismOptions) -> Iterator[Finding]:
    """Two runs of a few steps from the same seed."""
    runs = []
    for _ in range(2):
        run = subject.fresh()
        runs.append([run.train_step(batch) for batch in run.batches(options.steps)])
    for step, (a, b) in enumerate(zip(*runs)):
        if abs(a - b) > options.tolerance * max(abs(a), abs(b), 1e-12):
            yield Finding(
                code="not_repeatable",
                message=f"training twice from the same seed differs at step {step}: loss "
                f"{' and '.join(apart(a, b))}",
                advice="look for state outside the model: a global generator, a cache, a data "
                "loader that continues where it was",
            )
            return


def _apart(a: Array, b: Array) -> Array:
    """The difference; none where both are NaN, or the same infinity. Other shapes: infinite."""
    if a.shape != b.shape:
        return np.array(np.inf)
    with np.errstate(invalid="ignore"):
        return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, a - b)


def _one(array: Array) -> float:
    return float(array.reshape(-1)[0])
