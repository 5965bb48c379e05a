"""Does the output at one time depend on inputs of later times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.outputs import prediction
from gradcheck.checks.lib.running import (
    first_difference,
    in_eval,
    inputs_of,
    largest,
    needs_data,
    not_finite,
    predict,
    predict_changed,
    tolerance,
)
from gradcheck.checks.lib.words import number
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


class CausalityOptions(Options):
    """Options of the check `causality`."""

    axis: int = Field(default=1, ge=0, description="The time axis of input and output.")
    input: int = Field(default=0, ge=0, description="Which input carries the sequence.")
    past: bool = Field(
        default=True, description="The last output must depend on earlier inputs at all."
    )


class Causality:
    """The output at time t ignores every input after t: by perturbation and by gradient.

    Catches a mask that is missing or off by one and a softmax over the wrong axis, and names the
    first op that looks ahead. Applies where input and output have a time axis of the same length.
    """

    name = "causality"
    Options = CausalityOptions

    def applies(self, case: Case) -> str | None:
        return needs_data(case)

    def run(self, subject: Subject, options: CausalityOptions) -> Result:
        run = in_eval(subject)
        inputs = inputs_of(run)
        if options.input >= len(inputs):
            return Result.skipped(
                f"the model has {len(inputs)} inputs; `input: {options.input}` is not one of them"
            )
        sequence = inputs[options.input]
        base, _ = predict(run, inputs)
        reason = _no_sequence(sequence, base, options.axis)
        if reason is not None:
            return Result.skipped(reason)
        broken = not_finite(base)
        if broken is not None:
            return broken
        length = sequence.shape[options.axis]
        findings = [
            *_by_perturbation(run, inputs, base, options),
            *_by_gradient(run, inputs, base, options),
        ][:1]
        if not findings and options.past and length > 1:
            findings = _past(run, inputs, base, options)
        return Result(findings=tuple(findings), measurements={"length": length})


def _no_sequence(sequence: Array, output: Array, axis: int) -> str | None:
    ranks = (2,) if sequence.dtype.kind in "iu" else (3,)
    if sequence.ndim not in ranks or sequence.ndim <= axis:
        return f"the input of shape {sequence.shape} is not a sequence of ids or of vectors"
    if output.ndim < 3 or output.shape[axis] != sequence.shape[axis]:
        return f"the output of shape {output.shape} has no time axis like the input's"
    if sequence.shape[axis] < 2:
        return "the sequence has length 1"
    return None


def other_values(array: Array, where: Any, rng: np.random.Generator) -> Array:
    """A copy that differs in the entries `where`: other ids of the same batch, or added noise."""
    changed = array.copy()
    part = changed[where]
    if array.dtype.kind in "iu":
        ids = np.unique(array)
        if len(ids) > 1:  # the next id of those in the batch: surely another, surely in range
            changed[where] = ids[(np.searchsorted(ids, part) + 1) % len(ids)]
        else:
            changed[where] = np.where(part > 0, part - 1, part + 1)
    else:
        scale = float(np.std(array)) or 1.0
        changed[where] = part + scale * rng.standard_normal(part.shape)
    return changed


def _times(length: int) -> list[int]:
    return sorted({0, length // 2 - 1 if length > 3 else 0, length - 2})


def _at(axis: int, part: Any) -> tuple[Any, ...]:
    return (*[slice(None)] * axis, part)


def _by_perturbation(
    run: Subject, inputs: Sequence[Array], base: Array, options: CausalityOptions
) -> list[Finding]:
    rng = np.random.default_rng(run.seed)
    axis, which = options.axis, options.input
    length = inputs[which].shape[axis]
    _, output = predict(run, inputs)
    for t in _times(length):
        changed = list(inputs)
        changed[which] = other_values(inputs[which], _at(axis, slice(t + 1, None)), rng)
        values, other = predict_changed(run, changed)
        early = _at(axis, slice(0, t + 1))
        change = largest(base[early] - values[early])
        if change <= tolerance(run, base):
            continue
        rows = np.max(np.abs(base - values), axis=tuple(i for i in range(base.ndim) if i != axis))
        first = int(np.argmax(rows[: t + 1] > tolerance(run, base)))

        def keep(array: Array, t: int = t) -> Array | None:
            # (B, T, C); heads apart (B, H, T, C); scores (B, H, T, T), of which early queries may
            # hold late keys until the mask: cut every axis of time
            cut = [slice(0, t + 1) if i and n == length else slice(None)
                   for i, n in enumerate(array.shape)]  # fmt: skip
            return array[tuple(cut)] if any(s.stop for s in cut) else None

        blame = first_difference(run, output, other, keep)
        return [_finding(first, t + 1, change, "changing the inputs", blame)]
    return []


def _finding(t: int, later: int, change: float, how: str, blame: Any) -> Finding:
    return Finding(
        code="sees_future",
        message=f"the output at time {t} depends on inputs from time {later} on: {how} there "
        f"changes it by {number(change)}" + (f"; first at {blame}" if blame else ""),
        index=(t,),
        op=blame.op if blame else None,
        where=blame.where if blame else None,
        advice="mask scores of keys after the query (j > i, the diagonal stays) with -inf before "
        "the softmax, and take the softmax over the keys, the last axis",
    )


def _by_gradient(
    run: Subject, inputs: Sequence[Array], base: Array, options: CausalityOptions
) -> list[Finding]:
    """The gradient of the output at t with respect to vector inputs after t is zero."""
    sequence = inputs[options.input]
    if sequence.dtype.kind != "f":
        return []
    framework, axis = run.framework, options.axis
    rng = np.random.default_rng(run.seed)
    for t in _times(sequence.shape[axis]):
        leaves = list(run.to_leaves(tuple(inputs)))
        leaves[options.input] = framework.leaf(sequence, trainable=True, dtype=run.dtype)
        cotangent = np.zeros_like(base)
        early = _at(axis, t)
        cotangent[early] = rng.standard_normal(base[early].shape)
        try:
            run.backward(prediction(run, run.predict(*leaves)), cotangent)
        except Exception:  # no graph at all: the check `graph` says so
            return []
        grad = framework.grad(leaves[options.input])
        if grad is None:
            return []
        ahead = largest(grad[_at(axis, slice(t + 1, None))])
        if ahead > tolerance(run, grad):
            return [_finding(t, t + 1, ahead, "by its gradient, moving an input", None)]
    return []


def _past(
    run: Subject, inputs: Sequence[Array], base: Array, options: CausalityOptions
) -> list[Finding]:
    """The last output must see something of what came before."""
    rng = np.random.default_rng(run.seed)
    axis, which = options.axis, options.input
    changed = list(inputs)
    changed[which] = other_values(inputs[which], _at(axis, slice(0, -1)), rng)
    values, _ = predict_changed(run, changed)
    last = _at(axis, -1)
    change = largest(base[last] - values[last])
    if change > tolerance(run, base):
        return []
    only = f" (it changes by {number(change)}, which is rounding)" if change else ""
    return [
        Finding(
            code="sees_no_past",
            message=f"the last output does not depend on any earlier input{only}",
            advice="the mask hides too much, or no layer mixes times; set `past: false` if "
            "every time is intended to be independent",
        )
    ]
