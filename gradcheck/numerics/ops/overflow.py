"""Find values that single precision could hold but that an op misses: a missing shift.

The exponential of 100 does not fit into float32, the logarithm of a sum of such exponentials does:
it is about 100. An op that computes one through the other gives infinity or NaN where models in
float32 train. The same op in float64 shows what the result should be.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.arrays import first_true, signed
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

FITS = 1e30
"""Values up to this size fit into float32 with room to spare."""


def overflow(subject: Subject, arrays: Mapping[str, Array]) -> list[Finding]:
    """At most one finding. subject: of an op, in float64, at `arrays`; it is used up."""
    if subject.framework.precision.data != "float64":
        return []
    with np.errstate(all="ignore"):
        narrow = subject.fresh(arrays=arrays, dtype="float32")
        output = subject.forward()
        value = np.asarray(subject.value(output))
        small = narrow.forward()
        found = _lost(np.asarray(narrow.value(small)), value)
        if found is not None:
            return [_finding(subject, "result", None, found)]
        cotangent = signed(np.random.default_rng(subject.seed), value.shape)
        subject.backward(output, cotangent)
        narrow.backward(small, cotangent.astype(np.asarray(narrow.value(small)).dtype))
        for name, wide in subject.grads().items():
            grad = narrow.grads()[name]
            if wide is not None and grad is not None:
                found = _lost(grad, wide)
                if found is not None:
                    return [_finding(subject, f"gradient of {name}", name, found)]
    return []


Lost = tuple[tuple[int, ...], float, float]


def _lost(narrow: Array, wide: Array) -> Lost | None:
    """(index, value in float32, value in float64) of the first entry that float32 could hold."""
    if narrow.shape != wide.shape:
        return None
    lost = ~np.isfinite(narrow) & np.isfinite(wide) & (np.abs(wide) < FITS)
    if not lost.any():
        return None
    index = first_true(lost)
    return index, float(narrow[index]), float(wide[index])


def _finding(subject: Subject, what: str, parameter: str | None, found: Lost) -> Finding:
    index, narrow, wide = found
    at = f" at {list(index)}" if index else ""
    return Finding(
        code="overflows",
        op=subject.name,
        parameter=parameter,
        index=index,
        analytic=narrow,
        numeric=wide,
        message=f"op {subject.name} overflows in float32: its {what} is {narrow:g}{at} where "
        f"float64 gives {wide:.6g}, which fits into float32",
        advice="subtract the maximum before taking exponentials, or use logaddexp, expm1 or "
        "similar, in the forward and in the pullback",
    )
