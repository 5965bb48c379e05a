"""The point at which a subject is checked, and the backward there with other cotangents.

Values, output and analytic gradients are what both proofs start from. With other cotangents the
whole backward shows whether it is linear, and how much of a gradient is rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall, Output
from gradcheck.numerics.core.arrays import index_at
from gradcheck.numerics.core.differences import Precision, scale_of
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

    @cached_property
    def precision(self) -> Precision:
        """The coarser of what the framework declares and what it actually returns."""
        framework = self.subject.framework.precision
        kinds = [self.dtype] + [v.dtype for v in self.values.values()]
        data = max([np.dtype(framework.data), *kinds], key=lambda d: float(np.finfo(d).eps))
        grads = [g.dtype for g in self.analytic.values() if g is not None]
        gradient = max(
            [np.dtype(framework.gradients), *grads], key=lambda d: float(np.finfo(d).eps)
        )
        return Precision.of(data.name, gradient.name)

    def gradient(self, name: str) -> Array:
        """The analytic gradient of a leaf in float64; zeros where the framework has none."""
        g = self.analytic[name]
        return np.zeros(self.values[name].shape) if g is None else g.astype(np.float64)

    def medians(self) -> dict[str, float]:
        """Size of the median entry of each gradient, entries of zero left out."""
        sizes = {n: np.abs(g[g != 0]) for n, g in self.analytic.items() if g is not None}
        return {n: float(np.median(v)) for n, v in sizes.items() if v.size}


def where_finite(
    gradients: Mapping[str, Array | None], values: Mapping[str, Array]
) -> dict[str, Array | None]:
    """`gradients` with zeros where the leaf itself is not finite: there is no derivative."""
    return {
        n: g
        if g is None or g.shape != values[n].shape or np.isfinite(values[n]).all()
        else np.where(np.isfinite(values[n]), g, np.zeros((), g.dtype))
        for n, g in gradients.items()
    }


# --- other cotangents ---------------------------------------------------------------------------


FACTOR = -2.5 * 2.0**20
"""More than any threshold at which gradients are clipped."""
ORDINARY = -2.5
"""A factor of the size that training has: what is linear with it, and loses a few digits with
`FACTOR`, is not wrong (a matrix exponential, a result in float16)."""
DIGITS = 1e-5
"""Below this relative difference a backward may have lost digits to the size of the cotangent."""
NEAR = (0.9917157287525381, 0.9958578643762691, 1.004142135623731, 1.0082842712474619)
"""Factors beside the first: a backward that is not linear does nearly the same with all of them,
rounding falls differently each time. No short binary fractions, which round alike."""
SURE = 20.0
"""A deviation from linearity must be this many times what rounding does."""
SAME_DIGITS = 1e-12
"""Mostly the two gradients agree to the last digits, and nothing more needs to be asked."""
ROUNDINGS = 1e3
"""Last digits that a whole backward may lose of the largest numbers in it."""
OF_ONE = 64.0
"""Last digits that the difference of a probability and one may lose, both being about 1."""
RELATIVE = 1e-9
"""Share of its largest entry by which a gradient may differ in any case."""


def scaled_cotangent(point: Point, output: Output, scalar: bool) -> None:
    """backward(a g) must give a times backward(g), whatever the framework does in between.

    output: of a forward of its own. Adds a finding to `point`, or a note where the framework takes
    no cotangent of a scalar.
    """
    try:
        again = pulled(point, FACTOR, output)
    except Exception as error:
        if not scalar:
            raise
        point.notes.append(
            f"the cotangent was always 1: backward takes no other ({type(error).__name__})"
        )
        return
    rounding: dict[str, float] | None = None
    usual: dict[str, float] | None = None
    ordinary: dict[str, Array | None] | None = None
    # A result in float16 has no room for large cotangents: they overflow to infinity.
    fits = abs(FACTOR) * float(np.abs(point.weights).max()) < float(np.finfo(point.dtype).max)
    for name, first in point.analytic.items():
        second = again[name]
        if first is None or second is None:
            continue
        expected = FACTOR * first.astype(np.float64)
        apart = np.abs(second - expected)
        overflows = not np.isfinite(second).all()
        worst = np.inf if overflows else float(np.max(apart, initial=0.0))
        if worst <= SAME_DIGITS * float(np.max(np.abs(expected), initial=0.0)):
            continue
        if worst <= _slack(point, name, expected, _largest(point)):
            continue
        if rounding is None:
            rounding = rounding_of(point, again)
        if worst <= SURE * abs(FACTOR) * rounding[name]:
            continue
        if worst <= DIGITS * np.max(np.abs(expected)) or overflows or not fits:
            if ordinary is None:
                ordinary = pulled(point, ORDINARY)
            if _linear(point, name, ORDINARY, ordinary[name]):
                continue
            if usual is None:
                usual = rounding_of(point, ordinary, ORDINARY)
            if _as_rounded(point, name, ordinary[name], usual[name]):
                continue
        index = index_at(np.argmax(apart), apart.shape)
        point.findings.append(
            Finding(
                code="not_linear",
                parameter=name,
                index=index,
                analytic=float(second[index]),
                numeric=float(expected[index]),
                message=f"backward is not linear: with the cotangent times {FACTOR:.3g} the "
                f"gradient of {name}{list(index)} is {second[index]:.6g}, not "
                f"{expected[index]:.6g}",
                advice="a backward multiplies its cotangent by the Jacobian and does nothing else "
                "to it: no relu, abs, sign, clip or normalisation",
            )
        )
        return


def _linear(point: Point, name: str, factor: float, found: Array | None) -> bool:
    """Whether `found`, with `factor` times the cotangent, is `factor` times the gradient."""
    first = point.analytic[name]
    if first is None or found is None:
        return first is None and found is None
    expected = factor * first.astype(np.float64)
    worst = float(np.max(np.abs(found - expected), initial=0.0))
    return bool(worst <= _slack(point, name, expected, _largest(point)))


COARSE = 1e-6
"""Rounding of this share of a gradient comes from a dtype of few digits inside."""


def _as_rounded(point: Point, name: str, found: Array | None, rounding: float) -> bool:
    """Whether `found`, with `ORDINARY` times the cotangent, is the gradient but for rounding so
    coarse that a float16 inside explains it. There large cotangents overflow to infinity."""
    first = point.analytic[name]
    if first is None or found is None or not np.isfinite(found).all():
        return False
    worst = float(np.max(np.abs(found / ORDINARY - first), initial=0.0))
    largest = float(np.max(np.abs(first), initial=0.0))
    return worst <= SURE * rounding and rounding >= COARSE * largest and worst <= MOST * largest


MOST = 0.1
"""More than this share of a gradient is not rounding, however coarse."""


def _largest(point: Point) -> float:
    """What is truly zero (a bias before a batch norm) is rounding of the size of the others."""
    sizes = (float(np.abs(g).max()) for g in point.analytic.values() if g is not None and g.size)
    return max(sizes, default=0.0)


def pulled(point: Point, factor: float, output: Output = None) -> dict[str, Array | None]:
    """The gradients with `factor` times the cotangent, of `output` or of a new forward."""
    subject = point.subject
    output = subject.forward() if output is None else output
    subject.zero_grad()
    subject.backward(output, (factor * point.weights).astype(point.dtype))
    return where_finite(subject.grads(), point.values)


def rounding_of(
    point: Point, again: dict[str, Array | None] | None = None, factor: float = FACTOR
) -> dict[str, float]:
    """Rounding in the analytic gradient of each leaf: how far the results of nearby cotangents,
    divided by their factors, lie apart. Zeros where the backward does not even repeat itself, for
    then the differences are not rounding.

    again: the gradients with `factor` times the cotangent, when they are there already.
    """
    try:
        again = pulled(point, factor) if again is None else again
        repeated = pulled(point, factor)
        others = [(factor * near, pulled(point, factor * near)) for near in NEAR]
    except Exception:  # this framework takes no cotangent: reported as a note before
        return dict.fromkeys(point.values, 0.0)
    found = {}
    for name, first in again.items():
        same = repeated[name]
        samples = [(factor, first), *((f, g[name]) for f, g in others)]
        found[name] = 0.0
        known = point.analytic[name]
        if first is None or same is None or known is None or not first.size:
            continue
        expected = factor * known.astype(np.float64)
        with np.errstate(all="ignore"):
            repeats = np.abs(first - same) <= _slack(point, name, expected, 0.0)
        if not repeats.all():
            continue
        scaled = [g.astype(np.float64) / f for f, g in samples if g is not None]
        found[name] = float(np.max(np.ptp(np.stack(scaled), axis=0)))
    return found


def _slack(point: Point, name: str, expected: Array, largest: float) -> float:
    """What rounding may do, from the sizes of values and gradients alone: a first look."""
    # A float64 gradient that came through a float32 result is as coarse as that.
    kinds = [g.dtype for g in (point.analytic[name],) if g is not None] + [point.dtype]
    eps = max(float(np.finfo(d).eps) for d in kinds if d.kind == "f")
    size = float(np.max(np.abs(expected))) if expected.size else 0.0
    # Terms that cancel (a saturated softmax) leave rounding that does not depend on the cotangent.
    rounding = ROUNDINGS * eps * float(np.max(np.abs(point.weights * point.value), initial=0.0))
    scale = scale_of(point.values[name])
    unit = float(np.abs(point.weights).max()) * min(1.0, scale) ** 2
    apart_from_size = ROUNDINGS * eps * largest + OF_ONE * eps * unit + rounding / scale
    return max(RELATIVE, ROUNDINGS * eps) * size + abs(FACTOR) * apart_from_size
