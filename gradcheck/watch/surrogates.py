"""Backwards that are no gradient on purpose: straight-through steps, reversed gradients.

A script has no place to declare them, so they are recognised by their forward: it is a step
function, whose gradient nobody wants, or it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import OpCall, backward_at

NUDGE = 1e-7
"""Relative change of an input that moves few entries over a step, and each of any other forward."""
MOST = 0.99
"""Share of outputs that must stay when the input is nudged."""


def surrogate(call: OpCall) -> str | None:
    """Why the backward of a user's op is taken to be meant so, as a clause; None where it is not.

    A forward that raises says nothing.
    """
    if backward_at(call) is None:
        return None
    inputs = [_wide(value) for value in call.inputs]
    try:
        base = np.asarray(call.run(inputs))
        nudged = np.asarray(call.run(_nudged(inputs, call.needs)))
    except Exception:
        return None
    given = [v for v, need in zip(inputs, call.needs) if need]
    if any(np.shape(v) == base.shape and np.array_equal(v, base) for v in given):
        return "its forward changes nothing"
    still = base == nudged
    if base.size and np.mean(still) >= MOST and np.ptp(base) > 0:
        return "its forward is a step function"
    return None


def _wide(value: Any) -> Any:
    floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(np.float64) if floating else value


def _nudged(inputs: Sequence[Any], needs: Sequence[bool]) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        v + NUDGE * (np.abs(v) + 1e-3) * rng.choice([-1.0, 1.0], np.shape(v)) if need else v
        for v, need in zip(inputs, needs)
    ]
