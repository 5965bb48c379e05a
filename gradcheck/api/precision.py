"""The check `precision` as a function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from gradcheck.api.subjects import home_of, name_of, subject_of
from gradcheck.checks.gradient.precision import look
from gradcheck.frameworks.protocol import Framework, Output
from gradcheck.numerics.precision.dtypes import LOW_DTYPES
from gradcheck.numerics.precision.examine import DRAWS
from gradcheck.numerics.telling.blame import at_home
from gradcheck.result import Result

WHO = "check_precision"


def check_precision(
    kernel: Callable[..., Any],
    *inputs: Any,
    reference: Callable[..., Any] | None = None,
    loss: Callable[[Output], Output] | None = None,
    dtypes: Sequence[str] = LOW_DTYPES,
    framework: str | Framework | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    memory: bool = True,
) -> Result:
    """Compare a kernel in low precision with float64, at the same rounded inputs.

    kernel: a function of tensors, such as `MyFunction.apply`, or a model. inputs: arrays or tensors
    of any floating dtype; whole numbers and booleans are passed on as they are. reference: computes
    the same from ordinary operations; without it the kernel itself runs in float64, and only faults
    of the low dtypes are seen. loss: turns the output of a model into a scalar. dtypes: of
    'float32', 'float16', 'bfloat16'. draws: of inputs and incoming gradients for each dtype.
    memory: also look for writes and reads outside the kernel's own memory, where the framework can
    tell.

    A wrong factor is seen from about 1e-3 in bfloat16, 2e-4 in float16 and 1e-7 in float32, with
    4,096 numbers; `result.measurements["smallest_factor_seen"]` says what was seen. The result is
    true only when it passed. Raises TypeError or ValueError for arguments that make no sense, and
    what `kernel` raises.
    """
    unknown = [d for d in dtypes if d not in LOW_DTYPES]
    if unknown or not dtypes:
        raise ValueError(
            f"{WHO}: dtypes must be some of {', '.join(LOW_DTYPES)}, not "
            f"{', '.join(map(repr, unknown)) or 'nothing'}"
        )
    mine, other = (
        None
        if fn is None
        else subject_of(fn, inputs, loss=loss, framework=framework, seed=seed, who=WHO)
        for fn in (kernel, reference)
    )
    assert mine is not None
    result = look(mine, dtypes, reference=other, draws=draws, memory=memory)
    home = home_of(kernel) if mine.is_op else None
    return dataclasses.replace(
        result,
        findings=tuple(at_home(f, home) for f in result.findings),
        title=f"{name_of(kernel)}::precision",
    )
