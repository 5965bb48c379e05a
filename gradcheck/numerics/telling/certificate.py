"""The certificate of a pass: what was verified, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.numerics.core.verdict import KINK, RIGHT, UNSURE
from gradcheck.numerics.ops.local import InputVerdict
from gradcheck.numerics.telling.evidence import Seen

ROUNDED = 1e-6
"""Entries smaller than this share of the largest one are rounding, whatever the median."""


@dataclass
class Certificate:
    """Counts over one or more points (a declared case and its variants).

    smallest_seen: the smallest relative error that would have been noticed in any single entry of
    median size or above of any input of any op: the worst such input counts. seen_outside: the same
    for entries of leaves and for errors that arise outside every op, seen end to end only.
    tensors: a row for each leaf, for a table.
    """

    entries: int = 0
    calls: int = 0
    inputs_by_direction: int = 0
    leaves: int = 0
    leaf_entries: int = 0
    kinks: int = 0
    unsure: int = 0
    undecided_directions: int = 0
    evaluations: int = 0
    worst: float = 0.0
    worst_where: str = ""
    smallest_seen: float = 0.0
    seen_outside: float = 0.0
    replayed: bool = False
    exhaustive: bool = False
    complex_error: float | None = None
    ops: dict[str, int] = field(default_factory=dict)
    tensors: list[Mapping[str, Any]] = field(default_factory=list)

    def add_local(self, verdict: InputVerdict) -> None:
        self.evaluations += verdict.evaluations
        self.ops[verdict.call.name] = self.ops.get(verdict.call.name, 0) + 1
        if not verdict.exhaustive:
            self.inputs_by_direction += 1
        else:
            self.entries += verdict.entries
        self._states(verdict.outcome.state)
        self._seen(
            verdict.outcome.limit,
            np.abs(verdict.outcome.analytic),
            verdict.outcome.relative(),
            verdict.outcome.state,
            f"{verdict.call.name}({verdict.input_name})",
        )

    def add_ends(self, ends: Seen, entries: int) -> None:
        """Directions through leaves. entries: of all leaves."""
        self.leaves += len(ends.leaves)
        self.leaf_entries += entries
        self.replayed = self.replayed or ends.replayed
        self.undecided_directions += ends.undecided
        self._worse(ends.worst, ends.worst_at)
        self.seen_outside = max(self.seen_outside, ends.smallest_seen)
        self.tensors += ends.tensors

    def _worse(self, error: float, where: str) -> None:
        if error > self.worst:
            self.worst, self.worst_where = error, where

    def _states(self, state: Any) -> None:
        self.kinks += int((state == KINK).sum())
        self.unsure += int((state == UNSURE).sum())

    def _seen(self, limit: Any, analytic: Any, relative: Any, state: Any, name: str) -> None:
        good = state == RIGHT
        if not good.any():
            return
        middle = float(np.median(analytic[good]))
        least = max(middle, ROUNDED * float(np.max(analytic[good])))
        big = good & (analytic >= least) & (analytic > 0)
        if not big.any():
            return
        with np.errstate(all="ignore"):
            self.smallest_seen = max(self.smallest_seen, float(np.max(limit[big] / analytic[big])))
        self._worse(float(np.max(relative[big])), name)

    def measurements(self) -> dict[str, Any]:
        measured = {
            "entries_verified": self.entries,
            "op_calls": self.calls,
            "inputs_by_direction": self.inputs_by_direction,
            "leaves": self.leaves,
            "leaf_entries": self.leaf_entries,
            "kinks_certified": self.kinks,
            "undecided": self.unsure,
            "undecided_directions": self.undecided_directions,
            "evaluations": self.evaluations,
            "worst_relative_error": self.worst,
            "worst_at": self.worst_where,
            "smallest_error_seen": self.smallest_seen or None,
            "smallest_error_end_to_end": self.seen_outside or None,
            "replayed": self.replayed,
            "exhaustive": self.exhaustive,
        }
        if self.tensors:
            measured["tensors"] = list(self.tensors)
        if self.complex_error is not None:
            measured["complex_step_error"] = self.complex_error
        return measured
