"""A kernel in the precision that it was written for: is its gradient right, as far as that can be
seen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gradcheck.numerics.precision.judge import LowVerdict, judge
from gradcheck.numerics.precision.projection import Factor
from gradcheck.numerics.precision.runs import RESULT, Runs, WrongShape, draws_numbers
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Json

DRAWS = 12
"""Draws of inputs and cotangent: enough that one of them decides little."""
GONE = 1e-6
"""A factor below this is called zero."""


@dataclass
class LowExamination:
    """findings, notes and figures of one dtype; rows: a row for each leaf."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sees: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Json]] = field(default_factory=list)


def examine_low(
    kernel: Subject,
    dtype: str,
    *,
    reference: Subject | None = None,
    draws: int = DRAWS,
) -> LowExamination:
    """Compare `kernel` in `dtype` with `reference` (default: the kernel) in float64.

    Both get the same numbers, rounded to `dtype`, so the rounding of inputs is no error. Raises
    what the kernel or the reference raises at the declared inputs.
    """
    done = LowExamination()
    if kernel.is_op and draws_numbers(kernel.fresh(dtype=dtype)):
        done.notes.append(
            f"{dtype}: not compared with float64: {kernel.name} draws random numbers, and it draws "
            "others in another dtype"
        )
        return done
    with np.errstate(all="ignore"):  # what is not finite becomes a finding
        try:
            runs = Runs(kernel, reference, dtype)
            tracks = runs.tracks(draws)
        except WrongShape as error:
            done.findings.append(
                Finding(
                    code="bad_shape",
                    op=kernel.name if kernel.is_op else None,
                    message=f"{kernel.name} in {dtype}: {error}",
                    advice="return a gradient of the shape of its input",
                )
            )
            return done
        verdicts = judge(tracks, dtype)
    result = next((v for v in verdicts if v.name == RESULT), None)
    leaves = [v for v in verdicts if v.name != RESULT]
    if result is not None and result.kind is not None:
        done.findings.append(_finding(kernel, dtype, result, reference))
    else:
        wrong = sorted((v for v in leaves if v.kind), key=lambda v: -_size(v))
        done.findings += [_finding(kernel, dtype, v, reference) for v in wrong]
    done.sees = {v.name: v.sees for v in leaves if not v.zero}
    done.rows = [_row(v) for v in verdicts]
    _say_blind(done, kernel, dtype, [v for v in leaves if v.blind and v.kind is None])
    if runs.eval_mode:
        done.notes.append(f"{dtype}: in eval mode, for the model draws random numbers")
    if runs.refused:
        done.notes.append(
            f"{dtype}: {runs.refused} of {draws} draws were left out: {kernel.name} refuses them"
        )
    zero = [v.name for v in leaves if v.zero]
    if zero:
        done.notes.append(
            f"{dtype}: the right gradient of {', '.join(zero)} is zero at every draw, so a wrong "
            "factor cannot show there"
        )
    return done


def _say_blind(
    done: LowExamination, kernel: Subject, dtype: str, blind: Sequence[LowVerdict]
) -> None:
    if not blind:
        return
    done.findings += [
        Finding(
            code="undecided",
            parameter=v.name,
            op=kernel.name if kernel.is_op else None,
            message=f"the gradient of {v.name} in {dtype} is not decided: "
            + (
                f"a wrong factor below {v.sees:.1g} would not show"
                if np.isfinite(v.sees)
                else "too few numbers carry it"
            ),
            advice="give larger inputs: more numbers average more rounding away",
            data={"dtype": dtype},
        )
        for v in blind
    ]


def _size(verdict: LowVerdict) -> float:
    if verdict.kind == "factor":
        return abs(verdict.factor.error)
    if verdict.kind == "part" and verdict.part is not None:
        return abs(verdict.part.error)
    return verdict.error


def _finding(
    kernel: Subject, dtype: str, verdict: LowVerdict, reference: Subject | None
) -> Finding:
    is_result = verdict.name == RESULT
    what = RESULT if is_result else f"the gradient of {verdict.name}"
    against = f"{reference.name} in float64" if reference else "the same in float64"
    said, advice = WORDS[verdict.kind or "imprecise"](verdict)
    code = "imprecise" if verdict.kind == "imprecise" else "wrong_gradient"
    if is_result:
        code = "wrong_result"
    lines = [f"compared with {against}, at the same inputs rounded to {dtype}"]
    if verdict.eager is not None:
        lines.append(
            f"error (root mean square): {verdict.error:.1e} of the gradient; the reference run in "
            f"{dtype}: {verdict.eager:.1e}"
        )
    elif np.isfinite(verdict.error):
        lines.append(
            f"error (root mean square): {verdict.error:.1e} of the gradient; rounding the inputs "
            f"makes {verdict.moved:.1e}"
        )
    if verdict.kind == "part" and verdict.wrong_parts > 1:
        lines.append(f"{verdict.wrong_parts} parts are off; this one is the worst")
    return Finding(
        code=code,
        parameter=None if is_result else verdict.name,
        op=kernel.name if kernel.is_op else None,
        where=kernel.declared.home if kernel.declared else None,
        message=f"{kernel.name} in {dtype}: {what} {said}",
        relative_error=_size(verdict) if np.isfinite(_size(verdict)) else None,
        lines=tuple(lines),
        advice=advice,
        data={
            "dtype": dtype,
            "kind": verdict.kind,
            "factor": 1 + verdict.factor.error,
            "part": _part(verdict.part) if verdict.part else None,
        },
    )


def _factor_words(verdict: LowVerdict) -> tuple[str, str]:
    f = verdict.factor
    return (
        f"is {_times(f.error)} (known to ±{f.bar:.1g})",
        "look for a constant factor: a missing 1/n, a scale that is applied twice, a constant that "
        "is rounded to the low dtype",
    )


def _part_words(verdict: LowVerdict) -> tuple[str, str]:
    part = verdict.part
    assert part is not None
    if part.zero:
        return (
            f"should be zero at {_part(part)} and is not: {part.error:.1g} of the whole gradient",
            "look for memory that is never written: start the gradient from zeros, not from empty",
        )
    return (
        f"is {_times(part.error)} at {_part(part)} (known to ±{part.bar:.1g})",
        "look at how the kernel divides this axis: masks, the last block, strides, heads",
    )


def _imprecise_words(verdict: LowVerdict) -> tuple[str, str]:
    if verdict.eager is not None:
        said = f"is {verdict.error / max(verdict.eager, 1e-300):.0f} times less precise than the "
        said += "reference in the same dtype"
    else:
        said = f"is off by {verdict.error:.1e} (root mean square), more than rounding explains"
    return said, "look for a missing term, or for a sum that is kept in the low dtype"


def _not_finite_words(verdict: LowVerdict) -> tuple[str, str]:
    return (
        "is not finite where the right one is",
        "subtract the maximum before exp, keep sums in float32, or scale before squaring",
    )


def _not_zero_words(verdict: LowVerdict) -> tuple[str, str]:
    return (
        "should be zero and is not",
        "look for memory that is never written: start the gradient from zeros, not from empty",
    )


WORDS = {
    "factor": _factor_words,
    "part": _part_words,
    "imprecise": _imprecise_words,
    "not_finite": _not_finite_words,
    "not_zero": _not_zero_words,
}


def _times(error: float) -> str:
    if abs(1 + error) < GONE:
        return "zero in place of the right one"
    digits = max(3, int(np.ceil(-np.log10(max(abs(error), 1e-12)))) + 2)
    return f"{1 + error:.{digits}g} times the right one"


def _part(part: Factor) -> str:
    start, stop = part.where
    index = f"{start}" if stop == start + 1 else f"{start}:{stop}"
    return f"index {index} of axis {part.axis}"


def _row(verdict: LowVerdict) -> dict[str, Json]:
    return {
        "name": verdict.name,
        "verdict": verdict.kind or ("zero" if verdict.zero else "right"),
        "factor": 1 + verdict.factor.error,
        "sees": verdict.sees,
        "error": verdict.error,
        "eager": verdict.eager,
    }
