"""Before a gradient is compared: forward and backward twice, past every guard, to a `Point`."""

from __future__ import annotations

import numpy as np

from gradcheck.memory import keep_freed_memory
from gradcheck.numerics.core.arrays import signed
from gradcheck.numerics.core.noise import scale_of
from gradcheck.numerics.end_to_end import guards
from gradcheck.numerics.end_to_end.cotangents import scaled_cotangent
from gradcheck.numerics.end_to_end.guards import first_of
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.ops.wholeop import whole_op
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

MOVES_CONSTANT, MOVES = 0.2, 0.05
"""How far parameters are moved, as a share of their size. Equal ones move further: they are initial
values, and lie at special places."""
SPREAD = 1.7
"""Half the width of a uniform distribution of unit variance, about."""


def prepare(subject: Subject, rng: np.random.Generator, *, scalar: bool) -> Point | Finding:
    """The point to check, or the finding that makes every comparison meaningless.

    scalar: whether the output must be one number (the loss of a model).
    """
    keep_freed_memory()  # what follows makes and frees arrays by the thousand
    try:
        return _prepare(subject, rng, scalar)
    except _StopError as stop:
        return stop.finding


def move_off(subject: Subject, rng: np.random.Generator) -> None:
    """Perturb the parameters: a bias of 0 and a scale of 1 hide errors in their own gradients and
    in others'."""
    for name in subject.parameters:
        if not subject.framework.trainable(subject.leaves[name]):
            continue
        x = subject.get(name)
        if x.dtype.kind != "f" or not x.size:
            continue
        constant = x.flat[0] == x.flat[-1] and float(np.ptp(x)) == 0.0
        size = MOVES_CONSTANT * (abs(float(x.flat[0])) or 1.0) if constant else MOVES * scale_of(x)
        subject.set(name, x + size * rng.uniform(-SPREAD, SPREAD, x.shape))


class _StopError(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def _pass(finding: Finding | None) -> None:
    if finding is not None:
        raise _StopError(finding)


def _prepare(subject: Subject, rng: np.random.Generator, scalar: bool) -> Point:
    where = subject.name
    notes: list[str] = []
    before = original = subject.state()
    for name, array in original.items():
        if name in subject.leaves:
            _pass(first_of(guards.LEAF, guards.Leaf(name, array, where)))
    if subject.parameters:
        move_off(subject, rng)
        before = subject.state()
    output = subject.forward()
    value = np.asarray(subject.value(output))
    if subject.parameters and not (value.dtype.kind == "f" and np.isfinite(value).all()):
        subject.restore(original)
        before = original
        output = subject.forward()
        value = np.asarray(subject.value(output))
        notes.append("checked at the initial parameters: around them the result is not finite")
    _pass(first_of(guards.RESULT, guards.Result(value, where, scalar)))
    _pass(guards.changed(subject, before, "forward", where))
    tape = subject.tape(output)
    if tape is None and not scalar:
        tape = whole_op(subject)
    weights = np.ones(value.shape) if scalar else signed(rng, value.shape)
    subject.zero_grad()
    subject.backward(output, None if scalar else weights.astype(value.dtype))
    analytic = subject.grads()
    _pass(guards.changed(subject, before, "backward", where))
    values = {n: subject.get(n) for n in subject.leaves}
    for name, gradient in analytic.items():
        if gradient is not None:
            given = guards.Gradient(name, gradient, values[name], tape)
            _pass(first_of(guards.GRADIENT, given))
    if len(before) > len(subject.leaves):  # buffers may have moved, the leaves have not
        subject.restore(before)
    output = subject.forward()
    _pass(guards.not_deterministic(where, value, np.asarray(subject.value(output))))
    wide = value.astype(np.float64)
    point = Point(subject, wide, value.dtype, weights, values, analytic, tape, [], notes)
    scaled_cotangent(point, output, scalar)
    return point
