"""The point at which a subject is checked: values, output, analytic gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.noise import Precision, scale_of
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
