"""What must hold before a gradient can be compared: bad input is named, not checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.memory import keep_freed_memory
from gradcheck.numerics.core.noise import scale_of
from gradcheck.numerics.end_to_end.cotangents import scaled_cotangent
from gradcheck.numerics.ops.local import signed
from gradcheck.numerics.ops.wholeop import whole_op
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding


@dataclass
class Point:
    """A subject at the point where it is checked.

    value: the output there, float64; dtype: what the framework computed it in. weights: the
    cotangent. values: the leaves. analytic: the gradient of sum(weights * value) per leaf; None
    where the framework gives none.
    """

    subject: Subject
    value: Array
    dtype: np.dtype[Any]
    weights: Array
    values: dict[str, Array]
    analytic: dict[str, Array | None]
    tape: list[OpCall] | None
    findings: list[Finding]
    notes: list[str]

    @cached_property
    def scales(self) -> dict[str, float]:
        """Typical size of the entries of each leaf."""
        return {name: scale_of(x) for name, x in self.values.items()}

    @cached_property
    def trainable(self) -> list[str]:
        leaves = self.subject.leaves
        return [n for n in self.values if self.subject.framework.trainable(leaves[n])]

    def medians(self) -> dict[str, float]:
        """Size of the median entry of each gradient, entries of zero left out."""
        sizes = {n: np.abs(g[g != 0]) for n, g in self.analytic.items() if g is not None}
        return {n: float(np.median(v)) for n, v in sizes.items() if v.size}


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
        size = 0.2 * (abs(float(x.flat[0])) or 1.0) if constant else 0.05 * scale_of(x)
        subject.set(name, x + size * rng.uniform(-1.7, 1.7, x.shape))


def prepare(subject: Subject, rng: np.random.Generator, *, scalar: bool) -> Point | Finding:
    """Forward twice, backward twice, looking for everything that makes a comparison meaningless.

    scalar: the output must be a scalar loss (models). Returns the finding when it stops here.
    """
    keep_freed_memory()  # what follows makes and frees arrays by the thousand
    where = subject.name
    notes: list[str] = []
    original = subject.state()
    for name, array in original.items():
        if name in subject.leaves and not array.size:
            return _empty(f"{name} of {where}", array)
        if name in subject.leaves and array.dtype.kind != "f":
            return Finding(
                code="integer_parameter",
                parameter=name,
                message=f"parameter {name} of {where} has dtype {array.dtype}; only floating "
                "tensors have a gradient",
                advice=f"store {name} as a buffer, or make it a floating tensor",
            )
        if name in subject.leaves and not np.isfinite(array).all():
            return _not_finite(f"the given {name}", array, name, "before anything has run")
    before = original
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
    if value.dtype.kind != "f":
        return Finding(
            code="bad_dtype",
            message=f"the result of {where} has dtype {value.dtype}; it must be floating to have "
            "a gradient",
        )
    if not value.size:
        return _empty(f"the result of {where}", value)
    if scalar and value.size != 1:
        return Finding(
            code="not_scalar",
            message=f"the loss of {where} has shape {tuple(value.shape)}; it must be one number",
            advice="reduce it: .mean() or .sum(), or a loss with reduction='mean'",
            data={"shape": list(value.shape)},
        )
    if not np.isfinite(value).all():
        return _not_finite(f"the result of {where}", value, None, "in the forward pass")
    changed = _moved(subject, before)
    if changed:
        return _mutates(where, changed, "forward", subject, before)
    tape = subject.tape(output)
    if tape is None and not scalar:
        tape = whole_op(subject)
    weights = np.ones(value.shape) if scalar else signed(rng, value.shape)
    subject.zero_grad()
    subject.backward(output, None if scalar else weights.astype(value.dtype))
    analytic = subject.grads()
    changed = _moved(subject, before)
    if changed:
        return _mutates(where, changed, "backward", subject, before)
    values = {n: subject.get(n) for n in subject.leaves}
    point = Point(
        subject,
        value.astype(np.float64),
        value.dtype,
        weights,
        values,
        analytic,
        tape,
        [],
        notes,
    )
    for name, gradient in analytic.items():
        if gradient is None:
            continue
        if gradient.shape != values[name].shape:
            return Finding(
                code="bad_shape",
                parameter=name,
                message=f"the gradient of {name} has shape {gradient.shape}, the tensor itself "
                f"{values[name].shape}",
            )
        if not np.isfinite(gradient).all():
            return _not_finite(
                f"the gradient of {name}", gradient, name, "behind a finite forward", tape
            )
    if len(before) > len(subject.leaves):  # buffers may have moved, the leaves have not
        subject.restore(before)
    output = subject.forward()
    changing = _not_deterministic(where, value, np.asarray(subject.value(output)))
    if changing is not None:
        return changing
    scaled_cotangent(point, output, scalar)
    return point


def _not_deterministic(where: str, value: Array, again: Array) -> Finding | None:
    gap = float(np.max(np.abs(again - value))) if again.shape == value.shape else np.inf
    eps = float(np.finfo(value.dtype).eps)
    if gap <= 256 * eps * (float(np.max(np.abs(value))) if value.size else 1.0):
        return None
    return Finding(
        code="not_deterministic",
        message=f"two forwards of {where} at the same values differ by {gap:.3g}: its result "
        "is random, or it keeps state from one call to the next",
        advice="draw randomness from the framework's seeded generator, or switch it off "
        "(training: false)",
        data={"difference": gap},
    )


def _moved(subject: Subject, before: dict[str, Array]) -> list[str]:
    return [n for n in subject.leaves if not np.array_equal(subject.get(n), before[n])]


def _mutates(
    where: str,
    names: list[str],
    stage: str,
    subject: Subject,
    before: dict[str, Array],
) -> Finding:
    name = names[0]
    now = subject.get(name)
    change = (
        float(np.max(np.abs(now - before[name]))) if now.shape == before[name].shape else np.inf
    )
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


def mutator(tape: list[OpCall]) -> tuple[str | None, str | None]:
    """The first op of the tape that writes into an input, forward or backward."""
    for call in tape:
        own = [np.array(v) if isinstance(v, np.ndarray) else v for v in call.inputs]
        given = [np.array(v) if isinstance(v, np.ndarray) else v for v in own]
        with np.errstate(all="ignore"):
            result, pullback = call.vjp(own)
            pullback(np.ones(result.shape, result.dtype))
        for mine, theirs in zip(own, given):
            if isinstance(mine, np.ndarray) and not np.array_equal(
                mine, theirs, equal_nan=mine.dtype.kind == "f"
            ):
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
    what: str, array: Array, name: str | None, when: str, tape: list[OpCall] | None = None
) -> Finding:
    bad = ~np.isfinite(array)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
    op = where = None
    if tape:
        op, where = origin_of_nan(tape)
    value = array[index]
    made = f"; it appears in the backward of {op} at {where}" if op else ""
    return Finding(
        code="not_finite",
        parameter=name,
        index=index,
        op=op,
        where=where,
        message=f"{what} has {value} at {list(index)} ({int(bad.sum())} of {array.size} entries "
        f"are not finite) {when}{made}",
        advice="guard the argument before the root, logarithm or division (maximum(x, tiny), or "
        "where on the argument, not on the result)",
    )


def origin_of_nan(tape: list[OpCall]) -> tuple[str | None, str | None]:
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
