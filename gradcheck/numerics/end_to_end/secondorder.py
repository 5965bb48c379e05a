"""Second derivatives: Hessian-vector products against differences of the analytic gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradcheck.frameworks.protocol import Array, SecondOrder
from gradcheck.numerics.core.arrays import index_at, signed
from gradcheck.numerics.core.differences import scale_of, slope
from gradcheck.numerics.core.verdict import SURE
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.result import Finding

STEPS = 2.0**-8, 2.0**-11
"""As shares of the typical entry of a leaf."""
ROUNDING = 1e-11
"""Share of the largest entry that differences of a float64 gradient round by."""
TOLERANCE = 1e-7
"""Relative to the largest entry of a leaf's product."""


def check_second_order(point: Point, rng: np.random.Generator) -> list[Finding]:
    """Findings for leaves whose Hessian-vector product is wrong. The framework must be capable."""
    subject = point.subject
    framework = subject.framework
    assert isinstance(framework, SecondOrder)
    names = point.trainable
    vectors = {n: scale_of(point.values[n]) * signed(rng, point.values[n].shape) for n in names}
    cotangent = point.weights if subject.is_op else None
    analytic = framework.hessian_vector(
        subject.forward(), {n: subject.leaves[n] for n in names}, vectors, cotangent
    )
    estimates = [_numeric(point, names, vectors, cotangent, h) for h in STEPS]
    findings = []
    for name in names:
        a = analytic[name].astype(np.float64)
        first, second = (e[name] for e in estimates)
        size = max(float(np.max(np.abs(a), initial=0.0)), float(np.max(np.abs(first), initial=0.0)))
        bar = np.abs(first - second) + ROUNDING * size
        gap = np.minimum(np.abs(a - first), np.abs(a - second))
        wrong = (gap > SURE * bar) & (gap > TOLERANCE * size)
        if not wrong.any():
            continue
        index = index_at(np.argmax(gap * wrong), a.shape)
        relative = float(gap[index] / max(abs(a[index]), abs(first[index])))
        findings.append(
            Finding(
                code="wrong_second_derivative",
                parameter=name,
                index=index,
                analytic=float(a[index]),
                numeric=float(first[index]),
                relative_error=relative,
                message=f"the second derivative of {name}{list(index)} is wrong: "
                f"{a[index]:.6g}, by differences of the gradient {first[index]:.6g}",
                lines=(f"{int(wrong.sum())} of {a.size} entries of its Hessian-vector product",),
                advice="the backward must itself be made of differentiable operations",
            )
        )
    return findings


def _numeric(
    point: Point, names: list[str], vectors: Mapping[str, Array], cotangent: Array | None, h: float
) -> dict[str, Array]:
    """Fourth-order differences of the gradient along `vectors`."""
    subject = point.subject
    at: dict[int, dict[str, Array]] = {}
    try:
        for k in (1, -1, 2, -2):
            for name in names:
                subject.set(name, point.values[name] + k * h * vectors[name])
            found = subject.gradients(cotangent)
            at[k] = {
                n: np.zeros(point.values[n].shape) if found[n] is None else np.asarray(found[n])
                for n in names
            }
    finally:
        for name in names:
            subject.set(name, point.values[name])
    return {n: slope([at[1][n] - at[-1][n], at[2][n] - at[-2][n]], np.array(h)) for n in names}
