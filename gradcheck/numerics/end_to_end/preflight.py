"""Before a gradient is compared: forward and backward twice, past every guard, to a `Point`.

Each guard looks at one thing and gives the finding that ends the check, or None: why a gradient
cannot be compared. The three tables after them are what `prepare` goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.memory import keep_freed_memory
from gradcheck.numerics.core.arrays import first_true, signed
from gradcheck.numerics.core.differences import scale_of
from gradcheck.numerics.end_to_end.culprits import mutator, origin_of_nan
from gradcheck.numerics.end_to_end.point import Point, scaled_cotangent, where_finite
from gradcheck.numerics.ops.wholeop import whole_op
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

MOVES_CONSTANT, MOVES = 0.2, 0.05
"""How far parameters are moved, as a share of their size. Equal ones move further: they are initial
values, and lie at special places."""
SPREAD = 1.7
"""Half the width of a uniform distribution of unit variance, about."""


@dataclass(frozen=True)
class Nothing:
    """There is nothing to check; why, as a sentence."""

    reason: str


def prepare(
    subject: Subject, rng: np.random.Generator, *, scalar: bool
) -> Point | Finding | Nothing:
    """The point to check, the finding that makes every comparison meaningless, or why there is
    nothing to check.

    scalar: whether the output must be one number (the loss of a model).
    """
    keep_freed_memory()  # what follows makes and frees arrays by the thousand
    try:
        return _prepare(subject, rng, scalar)
    except _StopError as stop:
        return stop.found


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
    def __init__(self, found: Finding | Nothing) -> None:
        super().__init__()
        self.found = found


def _pass(found: Finding | Nothing | None) -> None:
    if found is not None:
        raise _StopError(found)


def _prepare(subject: Subject, rng: np.random.Generator, scalar: bool) -> Point:
    where = subject.name
    notes: list[str] = []
    before = original = subject.state()
    for name in subject.leaves:
        _pass(first_of(LEAF, Leaf(name, original[name], where, name in subject.inputs)))
    _pass(nothing_to_move(original, subject, notes))
    if subject.parameters:
        move_off(subject, rng)
        before = subject.state()
    output = subject.forward()
    value = np.asarray(subject.value(output))
    if subject.parameters and not (value.dtype.kind == "f" and np.isfinite(value).all()):
        subject.restore(original)
        before = original
        subject.anchor()
        output = subject.forward()
        value = np.asarray(subject.value(output))
        notes.append("checked at the initial parameters: around them the result is not finite")
    _pass(first_of(RESULT, Result(value, where, scalar)))
    _pass(changed(subject, before, "forward", where))
    tape = subject.tape(output)
    whole = tape is None and not scalar
    if whole:
        tape = whole_op(subject)
    if tape is not None and subject.surrogates is not None:
        tape = subject.surrogates.standing(tape, whole=whole)
    weights = np.ones(value.shape) if scalar else signed(rng, value.shape)
    subject.zero_grad()
    subject.backward(output, None if scalar else weights.astype(value.dtype))
    values = {n: subject.get(n) for n in subject.leaves}
    analytic = where_finite(subject.grads(), values)
    _pass(changed(subject, before, "backward", where))
    for name, gradient in analytic.items():
        if gradient is not None:
            given = Gradient(name, gradient, values[name], tape)
            _pass(first_of(GRADIENT, given))
    if len(before) > len(subject.leaves):  # buffers may have moved, the leaves have not
        subject.restore(before)
    output = subject.forward()
    _pass(not_deterministic(where, value, np.asarray(subject.value(output))))
    wide = value.astype(np.float64)
    point = Point(subject, wide, value.dtype, weights, values, analytic, tape, [], notes)
    scaled_cotangent(point, output, scalar)
    return point


# --- the guards ---------------------------------------------------------------------------------

T = TypeVar("T")

REPEATS = 256.0
"""Last digits by which two forwards may differ: another order of summation, in another thread."""


@dataclass(frozen=True)
class Leaf:
    """A leaf before anything has run. where: what the subject is called. given: whether it is an
    input, and no parameter."""

    name: str
    array: Array
    where: str
    given: bool


@dataclass(frozen=True)
class Result:
    """The output of the forward. scalar: whether it must be one number."""

    value: Array
    where: str
    scalar: bool


@dataclass(frozen=True)
class Gradient:
    """What the backward gave for a leaf. tape: the op calls behind it, where they are known."""

    name: str
    array: Array
    leaf: Array
    tape: Sequence[OpCall] | None


def first_of(
    guards: Sequence[Callable[[T], Finding | Nothing | None]], thing: T
) -> Finding | Nothing | None:
    """What the first guard that objects has to say."""
    return next((found for guard in guards if (found := guard(thing)) is not None), None)


# --- leaves, before anything has run ------------------------------------------------------------


def integer_leaf(leaf: Leaf) -> Finding | None:
    if leaf.array.dtype.kind == "f":
        return None
    return Finding(
        code="integer_parameter",
        parameter=leaf.name,
        message=f"parameter {leaf.name} of {leaf.where} has dtype {leaf.array.dtype}; only "
        "floating tensors have a gradient",
        advice=f"store {leaf.name} as a buffer, or make it a floating tensor",
    )


def infinite_leaf(leaf: Leaf) -> Finding | None:
    if leaf.given or np.isfinite(leaf.array).all():
        return None  # an input may be a mask of -inf, or have gaps
    return _not_finite(f"the given {leaf.name}", leaf.array, leaf.name, "before anything has run")


# --- the result ---------------------------------------------------------------------------------


def integer_result(result: Result) -> Finding | None:
    if result.value.dtype.kind == "f":
        return None
    return Finding(
        code="bad_dtype",
        message=f"the result of {result.where} has dtype {result.value.dtype}; it must be floating "
        "to have a gradient",
    )


def nothing_to_move(
    state: Mapping[str, Array], subject: Subject, notes: list[str]
) -> Nothing | None:
    """Why no leaf can be moved; notes of those that cannot are added to `notes`."""
    found: dict[str, str] = {}
    for name in subject.leaves:
        array = state[name]
        if not array.size:
            found[name] = f"{name} of {subject.name} is empty (shape {tuple(array.shape)})"
        elif not np.isfinite(array).any():
            found[name] = f"no entry of {name} of {subject.name} is finite"
    if found and len(found) == len(subject.leaves):
        return Nothing(f"{', '.join(found.values())}: there is no gradient to check")
    notes += [f"{said}: it was not checked" for said in found.values()]
    for name in subject.leaves:
        left = int((~np.isfinite(state[name])).sum())
        if left and name not in found:
            entries = "entry" if left == 1 else "entries"
            notes.append(f"{left} {entries} of {name} not finite as given: not differentiated")
    return None


def empty_result(result: Result) -> Nothing | None:
    if result.value.size:
        return None
    shape = tuple(result.value.shape)
    return Nothing(f"the result of {result.where} is empty (shape {shape}): nothing to check")


def not_scalar(result: Result) -> Finding | None:
    if not result.scalar or result.value.size == 1:
        return None
    return Finding(
        code="not_scalar",
        message=f"the loss of {result.where} has shape {tuple(result.value.shape)}; it must be one "
        "number",
        advice="reduce it: .mean() or .sum(), or a loss with reduction='mean'",
        data={"shape": list(result.value.shape)},
    )


def infinite_result(result: Result) -> Finding | None:
    if np.isfinite(result.value).all():
        return None
    return _not_finite(f"the result of {result.where}", result.value, None, "in the forward pass")


# --- gradients ----------------------------------------------------------------------------------


def misshapen_gradient(gradient: Gradient) -> Finding | None:
    if gradient.array.shape == gradient.leaf.shape:
        return None
    return Finding(
        code="bad_shape",
        parameter=gradient.name,
        message=f"the gradient of {gradient.name} has shape {gradient.array.shape}, the tensor "
        f"itself {gradient.leaf.shape}",
    )


def infinite_gradient(gradient: Gradient) -> Finding | None:
    if np.isfinite(gradient.array).all():
        return None
    what = f"the gradient of {gradient.name}"
    behind = "after a finite forward pass"
    return _not_finite(what, gradient.array, gradient.name, behind, gradient.tape)


LEAF = (integer_leaf, infinite_leaf)
RESULT = (empty_result, integer_result, not_scalar, infinite_result)
GRADIENT = (misshapen_gradient, infinite_gradient)


# --- between one run and the next ---------------------------------------------------------------


def changed(subject: Subject, before: dict[str, Array], stage: str, where: str) -> Finding | None:
    """Leaves that a forward or backward has written into. `subject` is restored then."""
    names = [
        n for n in subject.leaves if not np.array_equal(subject.get(n), before[n], equal_nan=True)
    ]
    if not names:
        return None
    name = names[0]
    now = subject.get(name)
    same = now.shape == before[name].shape
    change = float(np.max(np.abs(now - before[name]))) if same else np.inf
    subject.restore(before)
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    op, line = mutator(subject.tape(subject.forward()) or whole_op(subject) or [])
    subject.restore(before)
    by = f"; op {op} does it" if op else ""
    return Finding(
        code="mutates",
        parameter=name,
        op=op,
        where=line,
        message=f"{stage} of {where} changes {name}{others} by up to {change:.3g}: what is "
        f"differentiated must not change while it runs{by}",
        advice="work on a copy; keep running statistics in buffers",
    )


def not_deterministic(where: str, value: Array, again: Array) -> Finding | None:
    gap = float(np.max(np.abs(again - value))) if again.shape == value.shape else np.inf
    eps = float(np.finfo(value.dtype).eps)
    if gap <= REPEATS * eps * (float(np.max(np.abs(value))) if value.size else 1.0):
        return None
    return Finding(
        code="not_deterministic",
        message=f"two forwards of {where} at the same values differ by {gap:.3g}: its result "
        "is random, or it keeps state from one call to the next",
        advice="draw randomness from the framework's seeded generator, or switch it off "
        "(training: false)",
        data={"difference": gap},
    )


def _not_finite(
    what: str, array: Array, name: str | None, when: str, tape: Sequence[OpCall] | None = None
) -> Finding:
    bad = ~np.isfinite(array)
    index = first_true(bad)
    op, where = origin_of_nan(tape) if tape else (None, None)
    made = f"; it appears in the backward of {op}{f' at {where}' if where else ''}" if op else ""
    return Finding(
        code="not_finite",
        parameter=name,
        index=index,
        op=op,
        where=where,
        message=f"{what} has {array[index]} at {list(index)} ({int(bad.sum())} of {array.size} "
        f"entries are not finite) {when}{made}",
        advice="guard the argument before the root, logarithm or division (maximum(x, tiny), or "
        "where on the argument, not on the result)",
    )
