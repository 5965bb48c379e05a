"""Do k micro-batches give the gradient of one batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.learning.micro_batches import wrong_parts
from gradcheck.checks.lib.capture import losses_of
from gradcheck.checks.lib.loss_shapes import stretched
from gradcheck.checks.lib.probing import norm
from gradcheck.checks.lib.repeated_mask import repeated_mask
from gradcheck.checks.lib.running import needs_data
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.lib.words import number
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.batches import fields, samples_in, some_samples
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case

Grads = dict[str, Array | None]


class AccumulationOptions(Options):
    """Options of the check `accumulation`."""

    parts: int = Field(default=2, ge=2, description="Micro-batches that make one batch.")
    enabled: bool = Field(
        default=True,
        description="false if samples are intended to mix, as batch norm in train mode does.",
    )
    tolerance: float = Field(default=1e-6, gt=0, description="Relative difference allowed.")


class Accumulation:
    """The mean of the gradients of k micro-batches is the gradient of the whole batch.

    If the loss ignores some targets, each micro-batch is weighted by the positions that it has
    left. If the case's own training step accumulates, the gradient that reaches the optimizer must
    be that of the batch, not k times as large.
    """

    name = "accumulation"
    Options = AccumulationOptions

    def applies(self, case: Case) -> str | None:
        return needs_data(case)

    def run(self, subject: Subject, options: AccumulationOptions) -> Result:
        if not options.enabled:
            return Result.skipped("the case turns it off (`enabled: false`)")
        wide = subject.framework.precision.data
        run = subject.fresh(dtype=wide, batch_size=max(subject.batching.size, options.parts))
        shapes = stretched(run, losses_of(run))
        if shapes is not None:
            return Result(findings=(shapes,))
        random = _random(run)
        if random:  # masks differ between batches of different sizes: nothing to compare
            run.framework.train_mode(run.model, False)
        whole = run.gradients()
        findings = [*_parts(run, whole, options)]
        if findings and not random:
            mask = repeated_mask(subject)
            findings = findings if mask is None else [mask]
        if not findings and subject.has_optimizer:
            findings.extend(_own_step(subject, options))
        notes = ("the model draws at random in train mode; compared in eval mode",) * random
        return Result(findings=tuple(findings), notes=notes)


def _random(run: Subject) -> bool:
    """Whether another seed gives another loss."""
    first = run.value(run.forward())
    run.seed += 1
    second = run.value(run.forward())
    run.seed -= 1
    return not np.array_equal(first, second)


def _parts(run: Subject, whole: Grads, options: AccumulationOptions) -> Iterator[Finding]:
    batch = run.to_arrays(run.batch)
    full = samples_in(batch)
    size = full // options.parts * options.parts
    if size != full:
        batch = some_samples(batch, full, slice(0, size))
        run.batch = run.to_leaves(batch)
        whole = run.gradients()
    each = size // options.parts
    total: Grads = dict.fromkeys(whole)
    weights = _weights(run, fields(batch)[-1].reshape(options.parts, each, -1))
    for i, weight in enumerate(weights):
        run.batch = run.to_leaves(some_samples(batch, size, slice(i * each, (i + 1) * each)))
        for name, grad in run.gradients().items():
            if grad is not None:
                before = total[name]
                total[name] = weight * grad if before is None else before + weight * grad
    ratio, worst, name = _compare(total, whole)
    if worst <= options.tolerance:
        return
    constant = ratio is not None and abs(ratio - 1) > 1e-3
    yield Finding(
        code="accumulation_differs",
        message=f"the mean gradient of {options.parts} micro-batches differs from that of the "
        f"batch: by {number(worst)} of its size at {name}"
        + (f", {number(ratio)} times as large throughout" if constant else ""),
        parameter=name,
        relative_error=worst,
        advice="use a loss that is the mean over the samples, not their sum"
        if constant
        else "something mixes the samples of a batch (batch norm in train mode, a mean over the "
        "unmasked positions): weight the micro-batches, or declare it with `enabled: false`",
    )


def _weights(run: Subject, targets: Array) -> Array:
    """The share of each micro-batch: equal, or by the positions that a loss with `ignore_index`
    counts, as its mean is over those. targets: (parts, samples, positions)."""
    parts = len(targets)
    ignored = run.loss_args.get("ignore_index")
    if ignored is None or targets.dtype.kind not in "iu":
        return np.full(parts, 1 / parts)
    counts = np.array([np.sum(t != ignored) for t in targets], dtype=np.float64)
    return counts / max(counts.sum(), 1.0)


def _own_step(subject: Subject, options: AccumulationOptions) -> Iterator[Finding]:
    """The gradient that the case's own training step gives to the optimizer."""
    wide = subject.framework.precision.data
    run = subject.fresh(dtype=wide)
    run.framework.train_mode(run.model, False)
    whole = run.gradients()
    run.zero_grad()
    log = StepLog(run, run.make_optimizer())
    run.train_step()
    if not log.gradients:
        return
    ratio, worst, name = _compare(log.gradients[0], whole)
    if worst <= options.tolerance and len(log.gradients) == 1:
        return
    if ratio is None or len(log.gradients) > 1:
        again = subject.fresh(dtype=wide)
        again.framework.train_mode(again.model, False)
        parts = wrong_parts(again, whole)
        if parts is not None:
            yield parts
        return
    if ratio >= 1.5:
        advice = (
            f"divide the loss of each micro-batch by their number ({round(ratio)}) before "
            "backward()"
        )
    elif _divided(ratio, log.gradients[0], run.batching.size):
        advice = "the loss is a mean already: do not divide it, or its gradient, once more"
    else:
        return
    yield Finding(
        code="not_normalised",
        message=f"the training step gives the optimizer {number(ratio)} times the gradient of the "
        "batch",
        parameter=name,
        relative_error=worst,
        advice=advice,
        data={"ratio": ratio},
    )


def _divided(ratio: float, given: Grads, batch: int) -> bool:
    """Whether a factor below 1 is one over the batch, or over a small number of micro-batches; not
    where the gradients have a round norm, to which they were clipped."""
    parts = round(1 / ratio) if ratio > 0 else 0
    if parts < 2 or abs(ratio * parts - 1) > 1e-4 or parts not in (2, 3, 4, 8, 16, 32, 64, batch):
        return False
    joint = float(np.sqrt(sum(norm(g) ** 2 for g in given.values() if g is not None)))
    return abs(joint - float(f"{joint:.2g}")) > 1e-4 * joint


def _compare(got: Grads, wanted: Grads) -> tuple[float | None, float, str]:
    """(ratio where all are the same multiple, worst relative difference, its parameter)."""
    largest = max((norm(g) for g in wanted.values() if g is not None), default=0.0)
    worst, name, ratios = 0.0, "", []
    for n, g in wanted.items():
        mine = got.get(n)
        if g is None or mine is None:
            continue
        size = norm(g)
        difference = norm(mine - g) / max(size, 1e-6 * largest, 1e-300)
        if difference > worst:
            worst, name = difference, n
        if size > 1e-6 * largest:
            ratio = float(np.sum(mine * g) / size**2)
            ratios.append(ratio if norm(mine - ratio * g) < 1e-3 * norm(mine) else float("nan"))
    same = bool(ratios) and np.allclose(ratios, ratios[0], rtol=1e-2)
    return (ratios[0] if same else None), worst, name
