"""What was seen, before anything is concluded from it, and what was verified, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.numerics.core.verdict import KINK, OPEN, RIGHT, UNSURE, VISIBLE, WRONG
from gradcheck.numerics.end_to_end.endtoend import EndToEnd, LeafFault
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.ops.local import InputVerdict
from gradcheck.numerics.telling.diagnose import UNKNOWN, Diagnosis, diagnose
from gradcheck.result import Finding, Json

VERDICTS = {
    OPEN: "undecided",
    RIGHT: "right",
    WRONG: "wrong",
    KINK: "at a kink",
    UNSURE: "undecided",
}
"""What a report calls a state."""


@dataclass(frozen=True)
class LeafEvidence:
    """A wrong leaf. place: among the trainable leaves. rank: how wrong it is. bars: by how many
    error bars the slope along its direction is off. looked_at: entries behind the diagnosis."""

    fault: LeafFault
    place: int
    rank: float = 0.0
    bars: float | None = None
    looked_at: int = 0
    diagnosis: Diagnosis = UNKNOWN

    @classmethod
    def of(
        cls, point: Point, fault: LeafFault, *, rank: float = 0.0, bars: float | None = None
    ) -> LeafEvidence:
        looked_at, diagnosis = _diagnosis(point, fault)
        return cls(fault, point.trainable.index(fault.name), rank, bars, looked_at, diagnosis)


@dataclass(frozen=True)
class Seen:
    """What directions through leaves showed.

    faults, wrong: the worst first; `wrong` names every wrong leaf. limits: by direction the
    smallest relative error that would have been noticed. smallest_seen: the same for an error in a
    single entry of median size, in the leaf where it is largest. blind: by leaf of which no
    direction was decided, or that no direction shows well enough, how large a relative error may be
    hidden there. tensors: a row for each leaf. rough: whether the forward was found to round.
    """

    leaves: tuple[str, ...]
    faults: tuple[LeafEvidence, ...]
    wrong: tuple[str, ...]
    undecided: int
    blind: Mapping[str, float]
    worst: float
    worst_at: str
    limits: tuple[float, ...]
    smallest_seen: float
    tensors: tuple[Mapping[str, Json], ...]
    replayed: bool
    rough: bool = False

    @property
    def unseen(self) -> dict[str, float]:
        """Those of `blind` in which not even errors of `VISIBLE` would have been noticed."""
        return {name: limit for name, limit in self.blind.items() if limit > VISIBLE}


@dataclass(frozen=True)
class Entries:
    """What every entry of every leaf showed. heatmap: by leaf where its errors are."""

    faults: tuple[LeafEvidence, ...]
    heatmap: Mapping[str, Any]


@dataclass(frozen=True)
class ComplexSteps:
    """What complex steps showed. every: whether every entry was looked at. worst: the largest
    error. stopped: why they were not taken, or not through all leaves, as a note."""

    every: bool = False
    worst: float = 0.0
    faults: tuple[LeafEvidence, ...] = ()
    stopped: str | None = None


def seen(point: Point, found: EndToEnd) -> Seen:
    """What `found` shows, with a row for each leaf."""
    outcome = found.outcome
    severity = outcome.severity()
    rank: dict[str, float] = {}
    for i in outcome.wrong:
        rank[found.names[i]] = max(rank.get(found.names[i], 0.0), float(severity[i]))
    faults = [
        LeafEvidence.of(point, f, rank=rank.get(f.name, 0.0), bars=_bars(found, f.name))
        for f in found.faults
    ]
    with np.errstate(all="ignore"):
        gaps = np.abs(outcome.analytic - outcome.numeric) / outcome.scale
        limits = outcome.limit / np.maximum(outcome.scale, TINIEST)
    smallest = _smallest_seen(point, found)
    good = (outcome.state == RIGHT) & np.isfinite(gaps)
    worst = int(np.argmax(np.where(good, gaps, -1))) if good.any() else None
    place = point.trainable.index
    return Seen(
        leaves=tuple(found.leaves),
        faults=tuple(sorted(faults, key=lambda f: (-f.rank, f.place))),
        wrong=tuple(sorted(found.wrong, key=lambda n: (-rank.get(n, 1.0), place(n)))),
        undecided=int((outcome.state == UNSURE).sum()),
        blind=_blind(found),
        worst=0.0 if worst is None else float(gaps[worst]),
        worst_at="" if worst is None else found.names[worst],
        limits=tuple(limits.tolist()),
        smallest_seen=max((s for s in smallest.values() if s), default=0.0),
        tensors=tuple(
            _row(point, found, name, smallest[name]) for name in sorted(found.leaves, key=place)
        ),
        replayed=found.replayed,
        rough=bool(found.rough),
    )


TINIEST = 1e-300
"""In place of zero as a divisor."""
HALF = 0.5
"""The smallest entry of a random direction: an error in an entry weighs at least this much."""


def _smallest_seen(point: Point, found: EndToEnd) -> dict[str, float | None]:
    """By leaf the smallest relative error that would have been noticed in an entry of median size;
    None where nothing was verified or every entry is zero."""
    outcome, medians = found.outcome, point.medians()
    smallest: dict[str, float | None] = {}
    for name in found.leaves:
        limits = [
            float(outcome.limit[i])
            for i, other in enumerate(found.names)
            if other == name and outcome.state[i] == RIGHT
        ]
        median = medians.get(name)  # a gradient of zeros has no relative error
        smallest[name] = min(limits) / (HALF * median) if limits and median else None
    return smallest


def _blind(found: EndToEnd) -> dict[str, float]:
    """The leaves of which every direction stayed undecided, or shows no errors of `VISIBLE`, and
    how large an error may be hidden there, relative to what matters. A second look has notes of
    its own."""
    outcome = found.outcome
    with np.errstate(all="ignore"):
        gaps = np.abs(outcome.analytic - outcome.numeric)
        open_ = np.isin(outcome.state, (OPEN, UNSURE))
        limits = np.where(open_, np.fmax(outcome.limit, gaps), outcome.limit)
        limits = np.maximum(limits - found.floor, 0.0) / found.sizes
        limits = np.where(np.isin(outcome.state, (KINK, WRONG)), 0.0, limits)
        limits = np.where(limits <= np.inf, limits, np.inf)
    best: dict[str, float] = {}
    decided = set(found.acquitted)
    for name, undecided, limit in zip(found.names, open_, limits):
        best[name] = min(best.get(name, np.inf), float(limit))
        if not undecided:
            decided.add(name)
    return {n: limit for n, limit in best.items() if n not in decided or limit > VISIBLE}


def _row(point: Point, found: EndToEnd, name: str, smallest: float | None) -> dict[str, Json]:
    """What a table says of a leaf: of its directions the one that agrees least."""
    outcome = found.outcome
    with np.errstate(all="ignore"):
        gaps = np.abs(outcome.analytic - outcome.numeric) / outcome.scale
    mine = [i for i, other in enumerate(found.names) if other == name]
    i = max(mine, key=lambda i: float(np.nan_to_num(gaps[i], nan=-1.0)))
    return {
        "tensor": name,
        "shape": list(point.values[name].shape),
        "verdict": VERDICTS[int(outcome.state[i])],
        "analytic_slope": float(outcome.analytic[i]),
        "numeric_slope": float(outcome.numeric[i]),
        "relative_error": float(gaps[i]) if np.isfinite(gaps[i]) else None,
        "smallest_error_seen": smallest,
    }


def _bars(found: EndToEnd, name: str) -> float | None:
    """How far the slope along the failing direction is off, in units of its measured noise."""
    outcome = found.outcome
    for i in outcome.wrong:
        if found.names[i] == name:
            apart = abs(outcome.analytic[i] - outcome.numeric[i])
            return float(apart / max(outcome.error[i], TINIEST))
    return None


def _diagnosis(point: Point, fault: LeafFault) -> tuple[int, Diagnosis]:
    """How many entries were looked at, and what they have in common."""
    if fault.sampled is None:
        return 0, UNKNOWN
    chosen, numeric = fault.sampled
    shape = point.values[fault.name].shape
    known = np.zeros(int(np.prod(shape)), dtype=bool)
    known[chosen] = True
    filled = np.zeros(known.size)
    filled[chosen] = numeric
    found = diagnose(point.gradient(fault.name), filled.reshape(shape), known.reshape(shape))
    return len(chosen), found


# --- what was verified --------------------------------------------------------------------------


ROUNDED = 1e-6
"""Entries smaller than this share of the largest one are rounding, whatever the median."""


@dataclass
class Certificate:
    """Counts over one or more points (a declared case and its variants).

    smallest_seen: the smallest relative error that would have been noticed in any single entry of
    median size or above of any input of any op: the worst such input counts. seen_outside: the same
    for entries of leaves and for errors that arise outside every op, seen end to end only.
    tensors: a row for each leaf, for a table. leaf_limits: by leaf that goes right into an op the
    relative error that may be hidden there, as the entries show it.
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
    leaf_limits: dict[str, float] = field(default_factory=dict)

    def add_local(self, verdict: InputVerdict) -> None:
        source = verdict.call.sources[verdict.slot]
        if isinstance(source, str):
            self.leaf_limits[source] = verdict.hidden()
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


@dataclass(frozen=True)
class OpFault:
    """A fault of one call. error: how bad it is, relative. more: calls with the same fault."""

    error: float
    finding: Finding
    more: int = 0


@dataclass(frozen=True)
class LocalProof:
    """What was found about the calls. faults: the worst first, one for each op and code. figures:
    what the report draws of the first wrong op."""

    certificate: Certificate = field(default_factory=Certificate)
    faults: tuple[OpFault, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
