"""The check `precision`: a kernel in the dtypes that it is written for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.frameworks.protocol import low_dtypes
from gradcheck.numerics.core.threads import one_blas_thread
from gradcheck.numerics.precision.dtypes import LOW_DTYPES, LowDtype
from gradcheck.numerics.precision.examine import DRAWS, LowExamination, examine_low
from gradcheck.numerics.precision.memory import memory_findings
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Json, Result, each_once
from gradcheck.yamlcases.case import Case

OUTSIDE = ("writes_outside", "reads_outside")


class PrecisionOptions(Options):
    """Options of the check `precision`."""

    dtypes: list[LowDtype] = Field(
        default=list(LOW_DTYPES), min_length=1, description="dtypes to run the kernel in"
    )
    reference: str = Field(
        default="",
        description="registered name of an op (or model) that computes the same from ordinary "
        "operations (default: the kernel itself in float64)",
    )
    framework: str = Field(
        default="", description="framework of the reference (default: the case's own)"
    )
    args: dict[str, Any] | None = Field(
        default=None, description="arguments of the reference (default: those of the case)"
    )
    draws: Annotated[int, Field(ge=4, le=1000)] = Field(
        default=DRAWS, description="draws of inputs and incoming gradients for each dtype"
    )
    memory: bool = Field(
        default=True,
        description="also look for writes and reads outside the kernel's own memory",
    )


class Precision:
    """Forward and backward are right in float32, float16 and bfloat16, as far as can be seen.

    The measuring stick is float64 at the same numbers: of a reference, or of the kernel itself.
    """

    name = "precision"

    Options = PrecisionOptions

    def applies(self, case: Case) -> str | None:
        if case.op is None and case.model is not None and case.data is None:
            return "the case has no data"
        return None

    def run(self, subject: Subject, options: PrecisionOptions) -> Result:
        reference = None
        if options.reference or options.framework:
            reference = subject.counterpart(
                name=options.reference or None,
                framework=options.framework or None,
                args=options.args,
            )
        with one_blas_thread():
            return look(
                subject,
                options.dtypes,
                reference=reference,
                draws=options.draws,
                memory=options.memory,
            )


def look(
    kernel: Subject,
    dtypes: Sequence[str],
    *,
    reference: Subject | None = None,
    draws: int = DRAWS,
    memory: bool = True,
) -> Result:
    """One result about all dtypes. A dtype that the framework does not have is left out, with a
    note; a result without any dtype is skipped."""
    framework = kernel.framework
    can = low_dtypes(framework)
    notes = [f"{framework.name} does not compute in {d}" for d in dtypes if d not in can]
    chosen = [d for d in dtypes if d in can]
    if not chosen:
        return Result.skipped("; ".join(notes))
    findings = memory_findings(kernel, chosen[0]) if memory and kernel.is_op else []
    if any(f.code in OUTSIDE for f in findings):
        return Result(findings=tuple(findings))  # further calls would spoil memory of others
    rows: dict[str, list[dict[str, Json]]] = {}
    sees: dict[str, Mapping[str, float]] = {}
    found: list[Finding] = []
    for dtype in chosen:
        done: LowExamination = examine_low(kernel, dtype, reference=reference, draws=draws)
        found += done.findings
        notes += done.notes
        rows[dtype], sees[dtype] = done.rows, done.sees
    if findings:  # where memory is spoilt, nothing else is known
        found = [f for f in found if f.code != "undecided"]
    findings += _alike(found)
    if not any(sees.values()) and not findings:
        return Result.skipped("; ".join(each_once(notes)) or "nothing was compared")
    return Result(
        findings=tuple(findings),
        notes=tuple(each_once(notes)),
        measurements={
            "smallest_factor_seen": {d: max(s.values()) for d, s in sees.items() if s},
            "leaves": rows,
        },
    )


def _alike(findings: Sequence[Finding]) -> list[Finding]:
    """One finding where several dtypes show the same."""
    first: dict[tuple[Json, ...], Finding] = {}
    for finding in findings:
        same = (finding.code, finding.parameter, finding.data.get("kind"))
        if same not in first:
            first[same] = finding
            continue
        kept = first[same]
        also = [*kept.data.get("also", []), finding.data["dtype"]]
        first[same] = dataclasses.replace(kept, data={**kept.data, "also": also})
    return [
        dataclasses.replace(f, lines=(*f.lines, f"the same in {' and '.join(f.data['also'])}"))
        if "also" in f.data
        else f
        for f in first.values()
    ]
