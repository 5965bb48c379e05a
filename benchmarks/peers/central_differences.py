"""The check that many courses teach: central differences of every entry, one random cotangent.

Step 1e-5; an error above 1e-4 relative to the larger of the two values counts as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import models, ops
from .verdict import NOT_APPLICABLE, Cell, Complaint, measure

ABILITIES = ("mutation", "strides")
STEP, BOUND = 1e-5, 1e-4


def contestant() -> Iterator[Cell]:
    """Every cell of the column."""
    for subject in [*ops.FAULTS, *ops.CORRECT]:
        yield measure(subject, lambda s=subject: complaints(s.fn, s.arrays), ABILITIES)
    for subject in [*models.FAULTS, *models.CORRECT]:
        yield Cell(subject.id, NOT_APPLICABLE)


def complaints(fn: Any, arrays: dict[str, Any]) -> list[Complaint]:
    """The worst entry of each input that is off."""
    y, pullback = fn(*arrays.values())
    cotangent = np.random.default_rng(0).standard_normal(np.shape(y))
    grads = pullback(cotangent.copy())
    grads = grads if isinstance(grads, tuple) else (grads,)
    found = []
    for (name, array), grad in zip(arrays.items(), grads):
        if array.dtype.kind != "f":
            continue
        numeric = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * STEP
                sides.append(float((fn(*{**arrays, name: moved}.values())[0] * cotangent).sum()))
            numeric[index] = (sides[0] - sides[1]) / (2 * STEP)
        error = np.abs(grad - numeric) / np.maximum(np.maximum(np.abs(grad), np.abs(numeric)), 1e-8)
        worst = tuple(map(int, np.unravel_index(np.argmax(error), error.shape)))
        if not error[worst] <= BOUND:
            found.append(Complaint(name, f"{name}{list(worst)}: relative error {error[worst]:.3g}"))
    return found
