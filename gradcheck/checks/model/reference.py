"""`reference`: the same weights and the same batch through another implementation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options, needs_model
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case

ROUNDING = 1e3
"""How many roundings of the coarser dtype two correct implementations may lie apart."""


class ReferenceOptions(Options):
    """Options of the check `reference`."""

    model: str = Field(
        default="",
        description="registered name of the reference (default: the case's own model)",
    )
    framework: str = Field(
        default="", description="framework of the reference (default: the case's own)"
    )
    args: dict[str, Any] | None = Field(
        default=None, description="arguments of the reference (default: those of the case)"
    )
    rename: dict[str, str] = Field(
        default={}, description="parameter of the case -> parameter of the reference"
    )


class Reference:
    """Same weights, same input, another implementation: same output, same gradients.

    What differences cannot see (a missing 1/sqrt(d), a softmax over the wrong axis: the gradient
    is right, of the wrong function) a second implementation can: a textbook version of your own,
    or the same model in PyTorch.
    """

    name = "reference"

    Options = ReferenceOptions

    def applies(self, case: Case) -> str | None:
        if case.model is None:
            return needs_model(case)
        options = case.checks.get(self.name) or {}
        if not options.get("model") and not options.get("framework"):
            return (
                "it names no reference; write `reference: {framework: pytorch}` or `{model: ...}`"
            )
        return None if case.data else "the case has no data"

    def run(self, subject: Subject, options: ReferenceOptions) -> Result:
        subject = subject.fresh(dtype="float64")
        # dropout masks of two frameworks have nothing in common
        subject.framework.train_mode(subject.model, False)
        other = subject.counterpart(
            name=options.model or None, framework=options.framework or None, args=options.args
        )
        other.framework.train_mode(other.model, False)

        names = {n: options.rename.get(n, n) for n in subject.parameters}
        findings = list(unmatched(subject, other, names))
        if findings:
            return Result(findings=tuple(findings))
        for mine, theirs in names.items():
            other.set(theirs, subject.get(mine))

        return compared(subject, other, names)


def compared(
    subject: Subject, other: Subject, names: Mapping[str, str], cotangent: Array | None = None
) -> Result:
    """The outputs of both and the gradients of the leaves `names` (mine -> theirs).

    cotangent: pulled back through what `forward` returns, which is then the output that is
    compared; None: `forward` is a scalar loss, and the output is that of `predict`.
    """
    findings: list[Finding] = []
    tolerance = ROUNDING * _eps(subject, other)
    mine_out, other_out = (
        s.value(s.predict() if cotangent is None else s.forward()) for s in (subject, other)
    )
    errors = {"output": _distance(mine_out, other_out)}
    shapes = mine_out.shape == other_out.shape
    analytic = subject.gradients(cotangent) if shapes else {}
    expected = other.gradients(cotangent) if shapes else {}
    sizes = (float(np.abs(g).max(initial=0)) for g in expected.values() if g is not None)
    largest = max(sizes, default=0)
    for mine, theirs in names.items() if shapes else ():
        errors[mine] = _distance(
            _dense(analytic[mine], subject.get(mine)),
            _dense(expected[theirs], other.get(theirs)),
            floor=1e-3 * largest,
        )
    worst = dict(sorted(errors.items(), key=lambda e: -e[1])[:5])
    if errors["output"] > tolerance:
        findings.append(_output_finding(errors["output"], tolerance, other, mine_out, other_out))
    else:
        findings += [
            _gradient_finding(n, e, tolerance, other)
            for n, e in worst.items()
            if e > tolerance and n != "output"
        ]
    return Result(
        findings=tuple(findings),
        measurements={"worst_relative_error": max(errors.values()), "worst": worst},
    )


def unmatched(subject: Subject, other: Subject, names: Mapping[str, str]) -> list[Finding]:
    advice = "match them with `rename: {mine: theirs}`"
    found = []
    for mine, theirs in names.items():
        if theirs not in other.leaves:
            found.append(f"{mine} has no counterpart {theirs!r} in the reference")
        elif subject.get(mine).shape != other.get(theirs).shape:
            found.append(
                f"{mine} has shape {subject.get(mine).shape}, "
                f"{theirs} of the reference has {other.get(theirs).shape}"
            )
    for theirs in other.leaves:
        if theirs not in names.values():
            found.append(f"{theirs} of the reference has no counterpart in {subject.name}")
    return [Finding(code="unmatched_parameter", message=m, advice=advice) for m in found]


def _output_finding(
    error: float, tolerance: float, other: Subject, mine: Array, theirs: Array
) -> Finding:
    if mine.shape != theirs.shape:
        return Finding(
            code="output_differs",
            message=f"the output has shape {mine.shape}, that of the {_named(other)} has "
            f"{theirs.shape}",
            advice="return the same tensor from both",
        )
    return Finding(
        code="output_differs",
        message=(
            f"the output differs from the {_named(other)} "
            f"by {error:.2e} of its size; rounding explains {tolerance:.0e}"
        ),
        relative_error=error,
        advice="compare the two forward passes layer by layer, from the first layer on",
    )


def _gradient_finding(name: str, error: float, tolerance: float, other: Subject) -> Finding:
    return Finding(
        code="gradient_differs",
        message=(
            f"the gradient of {name} differs from the {_named(other)} "
            f"by {error:.2e} of its size, while the outputs agree"
        ),
        parameter=name,
        relative_error=error,
        advice="the forward is the same, so a backward is wrong: see the check `gradient`",
    )


def _named(other: Subject) -> str:
    return f"reference {other.name} ({other.framework.name})"


def _eps(*subjects: Subject) -> float:
    dtypes = [
        d for s in subjects for d in (s.framework.precision.data, s.framework.precision.gradients)
    ]
    return max(float(np.finfo(d).eps) for d in dtypes)


def _dense(gradient: Array | None, like: Array) -> Array:
    return np.zeros_like(like) if gradient is None else gradient


def _distance(a: Array, b: Array, floor: float = 0.0) -> float:
    """Largest difference, relative to the larger of b's largest entry and `floor`."""
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    scale = max(float(np.abs(b).max()), floor) or 1.0
    distance = float(np.abs(a - b).max()) / scale
    return distance if np.isfinite(distance) else float("inf")
