"""Which op of a tape writes into its inputs, or makes the first value that is not finite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.frameworks.protocol import OpCall
from gradcheck.numerics.core.arrays import signed
from gradcheck.numerics.ops.pullback import copies


def mutator(tape: Sequence[OpCall]) -> tuple[str | None, str | None]:
    """The first op of the tape that writes into an input, forward or backward."""
    for call in tape:
        own = copies(call.inputs)
        given = copies(own)
        with np.errstate(all="ignore"):
            result, pullback = call.vjp(own)
            pullback(np.ones(result.shape, result.dtype))
        for mine, theirs in zip(own, given):
            if isinstance(mine, np.ndarray) and not np.array_equal(
                mine, theirs, equal_nan=mine.dtype.kind == "f"
            ):
                return call.name, call.where
    return None, None


def origin_of_nan(tape: Sequence[OpCall]) -> tuple[str | None, str | None]:
    """The op nearest the output whose pullback makes a non-finite cotangent of a finite one."""
    rng = np.random.default_rng(0)
    for call in reversed(tape):
        with np.errstate(all="ignore"):
            result, pullback = call.vjp(list(call.inputs))
            parts = pullback(signed(rng, result.shape).astype(result.dtype))
        if np.isfinite(result).all() and any(
            p is not None and not np.isfinite(p).all() for p in parts
        ):
            return call.name, call.where
    for call in tape:  # a forward value that a later `where` has hidden
        arrays = [np.asarray(v) for v in call.inputs if v is not None]
        if all(np.isfinite(a).all() for a in arrays if a.dtype.kind == "f"):
            with np.errstate(all="ignore"):
                if not np.isfinite(call.run(call.inputs)).all():
                    return call.name, call.where
    return None, None
