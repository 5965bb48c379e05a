"""All faults of this plugin, in one list."""

from __future__ import annotations

from . import engine, formulas, inside, layers, pullbacks, training
from .planting import Fault

GROUPS = (formulas, pullbacks, engine, inside, layers, training)


def all_faults() -> list[Fault]:
    """Every fault, in the order of the modules."""
    return [fault for group in GROUPS for fault in group.faults()]
