"""Tensors that training can never change: initial values that hold, statistics that stay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.checks.lib.about import about
from gradcheck.checks.lib.probing import Probe
from gradcheck.checks.lib.watching import StepLog
from gradcheck.checks.lib.words import plural, some
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding


def not_finite(log: StepLog, names: list[str]) -> Iterator[Finding]:
    """Trained parameters that hold NaN or infinity after a step, named at the first such step."""
    for step, after in enumerate(log.after, 1):
        found = [n for n in names if not np.isfinite(after[n]).all()]
        if found:
            yield about(
                found,
                "not_finite",
                f"after {plural(step, 'step')}, {len(found)} of {len(names)} trained parameters "
                f"hold NaN or infinity: {some(found)}",
                "look at the loss and at the gradients of that step: a division by zero, the "
                "logarithm or the root of zero, or a learning rate that is far too high",
            )
            return


def nothing_moved(log: StepLog, names: list[str]) -> Iterator[Finding]:
    """No trained parameter differs from its start after any step, for whatever reason."""
    start = log.before[0]
    if not names or any(
        not np.array_equal(start[n], after[n], equal_nan=True) for after in log.after for n in names
    ):
        return
    yield about(
        names,
        "nothing_moved",
        f"no trained parameter changed in {plural(len(log.after), 'step')}: {some(names)}",
        f"{rate_is(log)}; check that the loss depends on the parameters (run `graph`), and that "
        "the optimizer holds them",
    )


def rate_is(log: StepLog) -> str:
    """The learning rate of the logged steps, where the optimizer shows it."""
    rates = [s["lr"] for s in log.settings if isinstance(s.get("lr"), (int, float))]
    if not rates:
        return "check that the learning rate is not 0"
    if not any(rates):
        many = "" if len(rates) == 1 else f" in all {len(rates)} steps"
        return f"the learning rate is 0{many}: raise it, or let its schedule start above 0"
    return f"the learning rate is {rates[0]:g}"


def stuck(subject: Subject, log: StepLog, names: list[str]) -> Iterator[Finding]:
    """Weights that start constant and had a gradient of exactly zero at every logged step, though
    the loss depends on them elsewhere: two layers in a row that start at zero hold each other."""
    held = [
        n
        for n in names
        if all(g[n] is None or not np.any(g[n]) for g in log.gradients)
        and all(np.array_equal(a[n], log.before[0][n]) for a in log.after)
    ]
    constant = [n for n in held if log.before[0][n].ndim > 1 and not np.ptp(log.before[0][n])]
    if not constant:
        return
    moved = subject.fresh()
    rng = np.random.default_rng([subject.seed, 13])
    for name in moved.leaves:
        array = moved.get(name)
        moved.set(name, array + 0.1 * rng.standard_normal(array.shape))
    probe = Probe(moved)
    base = probe.run()
    found = [n for n in constant if probe.matters(n, base)]
    if not found:
        return
    steps = len(log.gradients)
    yield about(
        found,
        "stuck",
        f"{plural(len(found), 'weight')} with all entries equal at the start had a gradient of "
        f"exactly zero in all {steps} steps and did not move: {some(found)}",
        "draw initial weights at random; of two consecutive layers at most one may start at "
        "zero, since each one's gradient is a product with the other",
    )


def stale_buffers(subject: Subject) -> Iterator[Finding]:
    """Buffers that eval mode computes with, while train mode neither uses nor updates them."""
    if not subject.training:
        return
    run = subject.fresh()
    before = run.state()
    run.forward()
    after = run.state()
    still = [
        n
        for n in run.buffers
        if before[n].dtype.kind == "f" and before[n].size and np.array_equal(before[n], after[n])
    ]
    found = [n for n in still if _matters(subject, n, False) and not _matters(subject, n, True)]
    if found:
        yield about(
            found,
            "buffer_never_updated",
            f"train mode neither updates nor uses {plural(len(found), 'buffer')} that eval mode "
            f"computes with: {some(found)}",
            "update running statistics in every forward in train mode (a momentum above 0), "
            "or eval mode computes with their initial values",
        )


def _matters(subject: Subject, name: str, training: bool) -> bool:
    """Whether the loss changes with a buffer, in train or in eval mode."""
    values = []
    for factor in (1.0, 1.5):
        run = subject.fresh()
        run.framework.train_mode(run.model, training)
        buffer = run.buffers[name]
        array = run.framework.get(buffer)
        run.framework.set(buffer, array * factor + (factor - 1.0))
        values.append(np.asarray(run.value(run.forward())))
    return not np.array_equal(values[0], values[1])
