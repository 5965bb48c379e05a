"""Why a gradient cannot be compared: bad input is named, not checked.

Each guard looks at one thing and gives the finding that ends the check, or None. The three tables
at the end are what `preflight.prepare` goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.arrays import first_true, signed
from gradcheck.numerics.ops.breach import copies
from gradcheck.numerics.ops.wholeop import whole_op
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

T = TypeVar("T")

REPEATS = 256.0
"""Last digits by which two forwards may differ: another order of summation, in another thread."""


@dataclass(frozen=True)
class Leaf:
    """A leaf before anything has run. where: what the subject is called."""

    name: str
    array: Array
    where: str


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


def first_of(guards: Sequence[Callable[[T], Finding | None]], thing: T) -> Finding | None:
    """What the first guard that objects has to say."""
    return next((found for guard in guards if (found := guard(thing)) is not None), None)


# --- leaves, before anything has run ------------------------------------------------------------


def empty_leaf(leaf: Leaf) -> Finding | None:
    return None if leaf.array.size else _empty(f"{leaf.name} of {leaf.where}", leaf.array)


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
    if np.isfinite(leaf.array).all():
        return None
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


def empty_result(result: Result) -> Finding | None:
    return None if result.value.size else _empty(f"the result of {result.where}", result.value)


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


LEAF = (empty_leaf, integer_leaf, infinite_leaf)
RESULT = (integer_result, empty_result, not_scalar, infinite_result)
GRADIENT = (misshapen_gradient, infinite_gradient)


# --- between one run and the next ---------------------------------------------------------------


def changed(subject: Subject, before: dict[str, Array], stage: str, where: str) -> Finding | None:
    """Leaves that a forward or backward has written into. `subject` is restored then."""
    names = [n for n in subject.leaves if not np.array_equal(subject.get(n), before[n])]
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


# --- which op -----------------------------------------------------------------------------------


def mutator(tape: Sequence[OpCall]) -> tuple[str | None, str | None]:
    """The first op of the tape that writes into an input, forward or backward."""
    for call in tape:
        own = copies(call.inputs)
        given = copies(own)
        with np.errstate(all="ignore"):
            result, pullback = call.vjp(own)
            pullback(np.ones(result.shape, result.dtype))
        for mine, theirs in zip(own, given):
            if isinstance(mine, np.ndarray) and not np.array_equal(
                mine, theirs, equal_nan=mine.dtype.kind == "f"
            ):
                return call.name, call.where
    return None, None


def origin_of_nan(tape: Sequence[OpCall]) -> tuple[str | None, str | None]:
    """The op nearest the output whose pullback makes a non-finite cotangent of a finite one."""
    rng = np.random.default_rng(0)
    for call in reversed(tape):
        with np.errstate(all="ignore"):
            result, pullback = call.vjp(list(call.inputs))
            parts = pullback(signed(rng, result.shape).astype(result.dtype))
        if np.isfinite(result).all() and any(
            p is not None and not np.isfinite(p).all() for p in parts
        ):
            return call.name, call.where
    for call in tape:  # a forward value that a later `where` has hidden
        arrays = [np.asarray(v) for v in call.inputs if v is not None]
        if all(np.isfinite(a).all() for a in arrays if a.dtype.kind == "f"):
            with np.errstate(all="ignore"):
                if not np.isfinite(call.run(call.inputs)).all():
                    return call.name, call.where
    return None, None


def _empty(what: str, array: Array) -> Finding:
    return Finding(
        code="empty",
        message=f"{what} is empty (shape {tuple(array.shape)}): there is no gradient to check",
        advice="give every axis at least one entry",
        data={"shape": list(array.shape)},
    )


def _not_finite(
    what: str, array: Array, name: str | None, when: str, tape: Sequence[OpCall] | None = None
) -> Finding:
    bad = ~np.isfinite(array)
    index = first_true(bad)
    op, where = origin_of_nan(tape) if tape else (None, None)
    made = f"; it appears in the backward of {op} at {where}" if op else ""
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
