"""What a shard saw end to end, as plain values: enough for the verdict over all shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.numerics.core.verdict import KINK, OPEN, RIGHT, UNSURE, WRONG, Comparison
from gradcheck.numerics.end_to_end.endtoend import EndToEnd, LeafFault, gradient_of
from gradcheck.numerics.end_to_end.preflight import Point
from gradcheck.numerics.telling.diagnose import diagnose
from gradcheck.result import Json

VERDICTS = {
    OPEN: "undecided",
    RIGHT: "right",
    WRONG: "wrong",
    KINK: "at a kink",
    UNSURE: "undecided",
}
"""How a state is called."""


def nothing(names: Sequence[str]) -> EndToEnd:
    """No verdict yet on these leaves."""
    none = np.zeros(0)
    return EndToEnd(list(names), Comparison(none, none, none, none, none, none), 0, False)


def seen(point: Point, found: EndToEnd) -> Json:
    """Directions through leaves. wrong: [leaf, its severity, its place].

    limits: by direction the smallest relative error that would have been noticed. smallest_seen:
    the same for an error in a single entry of median size, in the leaf where it is largest.
    tensors: [place, row] of each leaf.
    """
    outcome = found.outcome
    severity = outcome.severity()
    rank: dict[str, float] = {}
    for i in outcome.wrong:
        rank[found.names[i]] = max(rank.get(found.names[i], 0.0), float(severity[i]))
    with np.errstate(all="ignore"):
        gaps = np.abs(outcome.analytic - outcome.numeric) / outcome.scale
        limits = outcome.limit / np.maximum(outcome.scale, 1e-300)
    smallest = _smallest_seen(point, found)
    good = (outcome.state == RIGHT) & np.isfinite(gaps)
    worst = int(np.argmax(np.where(good, gaps, -1))) if good.any() else None
    return {
        "leaves": list(dict.fromkeys(found.names)),
        "faults": evidence_of(point, found, rank),
        "wrong": [[n, rank.get(n, 1.0), point.trainable.index(n)] for n in found.wrong],
        "undecided": int((outcome.state == UNSURE).sum()),
        "worst": 0.0 if worst is None else float(gaps[worst]),
        "worst_at": "" if worst is None else found.names[worst],
        "limits": limits.tolist(),
        "smallest_seen": max((s for s in smallest.values() if s), default=0.0),
        "tensors": [
            [point.trainable.index(name), _row(point, found, name, smallest[name])]
            for name in dict.fromkeys(found.names)
        ],
        "replayed": found.replayed,
    }


def evidence_of(
    point: Point, found: EndToEnd, rank: dict[str, float] | None = None
) -> list[dict[str, Any]]:
    """The faulty leaves. rank: how wrong each is, where the worst should come first."""
    return [
        {
            "leaf": point.trainable.index(fault.name),
            "rank": (rank or {}).get(fault.name),
            "name": fault.name,
            "index": fault.index,
            "analytic": fault.analytic,
            "numeric": fault.numeric,
            "relative": fault.relative,
            "missing": fault.missing,
            "bars": _bars(found, fault.name),
            "drawn": fault.drawn,
            **_diagnosis(point, fault),
        }
        for fault in found.faults
    ]


def _smallest_seen(point: Point, found: EndToEnd) -> dict[str, float | None]:
    """By leaf the smallest relative error that would have been noticed in an entry of median size;
    None where nothing was verified or every entry is zero."""
    outcome, medians = found.outcome, point.medians()
    smallest: dict[str, float | None] = {}
    for name in dict.fromkeys(found.names):
        limits = [
            float(outcome.limit[i])
            for i, other in enumerate(found.names)
            if other == name and outcome.state[i] == RIGHT
        ]
        median = medians.get(name)  # a gradient of zeros has no relative error
        smallest[name] = min(limits) / (0.5 * median) if limits and median else None
    return smallest


def _row(point: Point, found: EndToEnd, name: str, smallest: float | None) -> dict[str, Json]:
    """What is told of a leaf one by one: of its directions the one that agrees least."""
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
    chosen = [i for i in outcome.wrong if found.names[i] == name]
    if not chosen:
        return None
    i = chosen[0]
    return float(abs(outcome.analytic[i] - outcome.numeric[i]) / max(outcome.error[i], 1e-300))


def _diagnosis(point: Point, fault: LeafFault) -> dict[str, Any]:
    """What the entries that were looked at have in common."""
    if fault.sampled is None:
        return {"looked_at": 0, "diagnosis": None, "advice": None}
    chosen, _, numeric = fault.sampled
    shape = point.values[fault.name].shape
    known = np.zeros(int(np.prod(shape)), dtype=bool)
    known[chosen] = True
    filled = np.zeros(known.size)
    filled[chosen] = numeric
    text, advice = diagnose(
        gradient_of(point, fault.name), filled.reshape(shape), known.reshape(shape)
    )
    return {"looked_at": len(chosen), "diagnosis": text, "advice": advice}
