"""A function met in a running program, judged at the inputs that it got there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, Framework, MetFunction, Output
from gradcheck.numerics.core.threads import one_blas_thread
from gradcheck.numerics.examine import examine
from gradcheck.numerics.telling.blame import at_home
from gradcheck.phrases import one_line
from gradcheck.probe.from_function import FunctionSubject
from gradcheck.result import Result

NOT_JUDGED = ("not_deterministic", "not_finite", "empty", "bad_dtype", "mutates")
"""Findings that say that nothing can be compared at these inputs, not that a gradient is wrong."""

ROUNDED = 1e-5
"""Inputs made in float32 fulfil what a function asks of them (a length of 1, a sum of 1) up to some
roundings of 6e-8, and are checked in float64."""


def judge_met(met: MetFunction, adapter: Framework, *, seed: int = 0) -> Result:
    """Every gradient of the call with respect to the inputs that required one; where none did, to
    the floating inputs that the backward gives a gradient for.

    Skipped, with the reason, where it cannot be judged: it does not run again, has no gradient for
    any input, or its gradients are no derivatives with respect to the components.
    """
    wanted = list(met.needs) or [n for n, a in met.inputs.items() if a.dtype.kind == "f"]
    notes: list[str] = []
    try:
        dtype = _dtype(met, adapter, seed)
        if not met.needs:
            given = _gradients(_subject(met, adapter, wanted, dtype, seed))
            left_out = [n for n in wanted if given[n] is None]
            wanted = [n for n in wanted if n not in left_out]
            if left_out:
                notes.append(f"no gradient is given for {', '.join(left_out)}")
        if not wanted:
            return Result.skipped("its backward gives no gradient for any input")
        result = _judge(met, adapter, wanted, dtype, seed)
        if result.findings and result.findings[0].code not in NOT_JUDGED:
            strange = _charts(met, adapter, wanted, dtype, seed)
            if strange:
                wanted = [n for n in wanted if n not in strange]
                said = f"{' and '.join(strange.values())}{OTHER_CHART}"
                if not wanted or RESULT in strange:
                    return Result.skipped(said)
                notes.append(said)
                result = _judge(met, adapter, wanted, dtype, seed)
        if _only_rounding(met, result):
            worst = max(f.relative_error or 0.0 for f in result.findings)
            notes.append(
                f"off by {worst:.1e}, which the rounding of its float32 inputs may explain (a "
                "vector of length 1, say, has that length up to rounding)"
            )
            result = dataclasses.replace(result, findings=())
    except Exception as error:
        return Result.skipped(f"it does not run again by itself: {one_line(error)[:200]}")
    if result.findings and result.findings[0].code in NOT_JUDGED:
        return Result.skipped(f"cannot be judged at these inputs: {result.findings[0].message}")
    if dtype != "float64":
        notes.append(f"it runs in {dtype} only: small errors cannot be seen")
    return dataclasses.replace(result, notes=(*notes, *result.notes))


def _only_rounding(met: MetFunction, result: Result) -> bool:
    """Whether all that was found is small, and the inputs were made in float32."""
    errors = [f.relative_error for f in result.findings]
    return (
        bool(errors)
        and any(a.dtype == np.float32 for a in met.inputs.values())
        and all(e is not None and e < ROUNDED for e in errors)
    )


def _judge(
    met: MetFunction, adapter: Framework, wanted: Sequence[str], dtype: str, seed: int
) -> Result:
    with np.errstate(all="ignore"), one_blas_thread():
        done = examine(_subject(met, adapter, wanted, dtype, seed))
    done.findings = [at_home(f, met.defined) for f in done.findings]
    return done.result()


def _subject(
    met: MetFunction, adapter: Framework, wanted: Sequence[str], dtype: str, seed: int
) -> FunctionSubject:
    """A subject whose inputs are `wanted`; the others are constants."""
    constants = {
        n: adapter.leaf(a, trainable=False, dtype=dtype if a.dtype.kind == "f" else None)
        for n, a in met.inputs.items()
        if n not in wanted
    }

    def call(*tensors: Any) -> Output:
        given = {**constants, **dict(zip(wanted, tensors))}
        return met.run(*(given[n] for n in met.inputs))

    arrays = {n: met.inputs[n] for n in wanted}
    return FunctionSubject(call, adapter, arrays=arrays, dtype=dtype, seed=seed, name=met.name)


def _dtype(met: MetFunction, adapter: Framework, seed: int) -> str:
    """The widest dtype in which it runs: float64, or float32 for a kernel that has no other."""
    floating = [n for n, a in met.inputs.items() if a.dtype.kind == "f"]
    wide = adapter.precision.data
    try:
        _subject(met, adapter, floating, wide, seed).forward()
        return wide
    except Exception:
        own = {str(met.inputs[n].dtype) for n in floating} & {"float32", "float64"}
        if own != {"float32"} or wide == "float32":
            raise
        _subject(met, adapter, floating, "float32", seed).forward()
        return "float32"


def _gradients(subject: FunctionSubject, cotangent: Array | None = None) -> dict[str, Array | None]:
    """For a cotangent; for ones, if None."""
    if cotangent is None:
        cotangent = np.ones(subject.value(subject.forward()).shape)
    try:
        return subject.gradients(cotangent)
    except Exception as error:
        if not subject.leaves:
            raise
        raise RuntimeError(f"its backward raised {type(error).__name__}: {error}") from error


OTHER_CHART = (
    ": no derivative by components, but one of a tangent space (its last component is always 0); "
    "not judged"
)
RESULT = ""
"""The key of the result, beside the names of inputs."""


def _charts(
    met: MetFunction, adapter: Framework, wanted: Sequence[str], dtype: str, seed: int
) -> dict[str, str]:
    """Inputs (or the result) whose gradients have fewer components than they have: those of a
    tangent space, as libraries of Lie groups give them, padded with a zero. They are what an
    optimizer on the manifold needs, and no derivatives with respect to the components: the others
    differ from these too. Where the others agree, the zero is a slip."""
    subject = _subject(met, adapter, wanted, dtype, seed)
    value = subject.value(subject.forward())
    rng = np.random.default_rng([seed, 23])
    found: dict[str, str] = {}
    cotangents = [rng.standard_normal(value.shape) for _ in range(2)]
    pulled = [_gradients(subject, c) for c in cotangents]
    for name in wanted:
        pairs = [(c, p[name]) for c, p in zip(cotangents, pulled)]
        if all(g is not None and _padded(g) for _, g in pairs) and not any(
            g is not None and _others_right(subject, name, c, g) for c, g in pairs
        ):
            found[name] = f"the gradient of {name}"
    if value.ndim and value.shape[-1] >= FEWEST:
        last = np.zeros(value.shape)
        last[..., -1] = rng.standard_normal(value.shape[:-1])
        ignored = all(g is None or not np.any(g) for g in _gradients(subject, last).values())
        rest = rng.standard_normal(value.shape)
        rest[..., -1] = 0
        right = any(
            g is not None and _others_right(subject, n, rest, g)
            for n, g in _gradients(subject, rest).items()
        )
        if ignored and not right and _moves_last(subject, wanted, value):
            found[RESULT] = "the gradient that it takes"
    return found


FEWEST = 3
"""Components that a point on a manifold has at least: the smallest group of rotations has two
angles of freedom less than its matrix, a quaternion one number more than its tangent."""


def _padded(gradient: Array) -> bool:
    """The last components are all exactly zero, and others are not."""
    return (
        gradient.ndim > 0
        and gradient.shape[-1] >= FEWEST
        and not np.any(gradient[..., -1])
        and bool(np.any(gradient[..., :-1]))
    )


def _others_right(subject: FunctionSubject, name: str, cotangent: Array, gradient: Array) -> bool:
    """Whether a gradient whose last components are zero is right for all others. Then that zero is
    a slip, and no chart."""
    x = subject.get(name)
    step = np.cbrt(np.finfo(x.dtype).eps) * max(float(np.abs(x).max(initial=0)), 1e-3)
    direction = np.random.default_rng(31).standard_normal(x.shape).astype(x.dtype)
    if x.ndim and _padded(gradient):
        direction[..., -1] = 0
    sides = []
    for sign in (1, -1):
        subject.set(name, x + sign * step * direction)
        sides.append(float(np.sum(cotangent * subject.value(subject.forward()))))
    subject.set(name, x)
    numeric = (sides[0] - sides[1]) / (2 * step)
    analytic = float(np.sum(gradient * direction))
    return abs(numeric - analytic) <= AGREES * max(abs(numeric), abs(analytic))


AGREES = 1e-2
"""Two slopes along one direction agree to this share: wrong ones of another chart do not."""


def _moves_last(subject: FunctionSubject, wanted: Sequence[str], value: Array) -> bool:
    rng = np.random.default_rng(29)
    for name in wanted:
        before = subject.get(name)
        subject.set(name, before + 1e-3 * rng.standard_normal(before.shape))
        moved = subject.value(subject.forward())
        subject.set(name, before)
        if moved.shape == value.shape and np.any(moved[..., -1] != value[..., -1]):
            return True
    return False
