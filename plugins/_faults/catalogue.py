"""All faults of this plugin, in one list."""

from __future__ import annotations

from . import (
    data,
    engine,
    extremes,
    formulas,
    formulas_arrays,
    habits,
    inside,
    layers,
    mixing,
    optimizers,
    pullbacks,
    training,
    unseen,
)
from .planting import Fault

GROUPS = (
    formulas,
    formulas_arrays,
    pullbacks,
    engine,
    extremes,
    habits,
    inside,
    layers,
    mixing,
    training,
    optimizers,
    data,
    unseen,
)


def all_faults() -> list[Fault]:
    """Every fault, in the order of the modules."""
    return [fault for group in GROUPS for fault in group.faults()]
