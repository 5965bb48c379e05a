"""A pullback that is wrong in float32 alone: every other proof of `gradient` runs in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from gradcheck.numerics.precision.examine import examine_low
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

DTYPE = "float32"
DRAWS = 4
"""Draws of inputs and cotangents: a table by dtype is wrong at each of them."""
GROSS = 1e-2
"""Relative errors below this are left to the check `precision`."""


def wrong_in_float32(subject: Subject) -> Iterator[Finding]:
    """Tensors whose gradient in float32 is off by a factor, as a whole or in a part, from the same
    op's in float64 at the same numbers. What cannot be decided is not reported."""
    if not subject.is_op or subject.framework.precision.data != "float64":
        return
    try:
        found = examine_low(subject, DTYPE, draws=DRAWS).findings
    except Exception:  # a probe of ours: an op need not take float32
        return
    for finding in found:
        gross = (finding.relative_error or 0.0) > GROSS
        if finding.code == "wrong_gradient" and finding.data.get("kind") in KINDS and gross:
            yield dataclasses.replace(
                finding,
                lines=(*finding.lines, f"in float64 its pullback is right: only {DTYPE} is wrong"),
                advice="look for what the pullback chooses by dtype: a branch, a table of "
                "constants, another kernel",
            )


KINDS = ("factor", "part")
"""Errors that rounding cannot make."""
