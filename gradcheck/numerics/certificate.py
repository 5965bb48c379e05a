"""What was verified, in figures: the certificate of a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.numerics.endtoend import EndToEnd
from gradcheck.numerics.local import InputVerdict
from gradcheck.numerics.verdict import KINK, RIGHT, UNSURE


@dataclass
class Certificate:
    """Counts over one or more points (a declared case and its variants).

    smallest_seen: the smallest relative error that would have been noticed in any single entry of
    median size or above of any input of any op: the worst such input counts. seen_outside: the same
    for entries of leaves and for errors that arise outside every op, seen end to end only.
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

    def add_end_to_end(self, found: EndToEnd, entries: int, medians: Mapping[str, float]) -> None:
        """entries: of all trainable leaves. medians: size of the median entry of each gradient."""
        self.evaluations += found.evaluations
        self.leaves += len(set(found.names))
        self.leaf_entries += entries
        self.replayed = self.replayed or found.replayed
        self.undecided_directions += int((found.outcome.state == UNSURE).sum())
        with np.errstate(all="ignore"):
            gaps = np.abs(found.outcome.analytic - found.outcome.numeric) / found.outcome.scale
        good = (found.outcome.state == RIGHT) & np.isfinite(gaps)
        if good.any() and float(gaps[good].max()) > self.worst:
            i = int(np.argmax(np.where(good, gaps, -1)))
            self.worst, self.worst_where = float(gaps[i]), found.names[i]
        for name in dict.fromkeys(found.names):
            if not medians.get(name):
                continue  # a gradient of zeros has no relative error
            limits = [
                float(found.outcome.limit[i])
                for i, other in enumerate(found.names)
                if other == name and found.outcome.state[i] == RIGHT
            ]
            if limits:  # no entry of a direction is smaller than a half
                self.seen_outside = max(self.seen_outside, min(limits) / (0.5 * medians[name]))

    def _states(self, state: Any) -> None:
        self.kinks += int((state == KINK).sum())
        self.unsure += int((state == UNSURE).sum())

    def _seen(self, limit: Any, analytic: Any, relative: Any, state: Any, name: str) -> None:
        good = state == RIGHT
        if not good.any():
            return
        middle = float(np.median(analytic[good]))
        # Entries a million times smaller than the largest are rounding, whatever the median.
        least = max(middle, 1e-6 * float(np.max(analytic[good])))
        big = good & (analytic >= least) & (analytic > 0)
        if not big.any():
            return
        with np.errstate(all="ignore"):
            self.smallest_seen = max(self.smallest_seen, float(np.max(limit[big] / analytic[big])))
        worst = float(np.max(relative[big]))
        if worst > self.worst:
            self.worst, self.worst_where = worst, name

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
        if self.complex_error is not None:
            measured["complex_step_error"] = self.complex_error
        return measured
