"""What is wrong, of the diary of the first steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.numerics.calls import check_calls
from gradcheck.result import Finding
from gradcheck.source.line import Line
from gradcheck.watch.look import Diary
from gradcheck.watch.session import Session, Watched

BUDGET = 5e7
"""Numbers that the proof of the ops may read and write, as in the check `gradient`."""


def facts(session: Session, diary: Diary) -> dict[str, Any]:
    """Everything that the process which asked needs to know, as JSON values; and findings."""
    notes: list[str] = []
    return {
        "optimizers": [_optimizer(w, diary) for w in session.optimizers],
        "steps": len(diary.steps),
        "backwards": len(diary.backwards),
        "losses": [b.loss for b in diary.backwards],
        "models": len({id(f.model) for f in diary.fed}),
        "seconds": diary.seconds,
        "findings": [],
        "notes": notes,
    }


def _optimizer(watched: Watched, diary: Diary) -> dict[str, Any]:
    steps = [s for s in diary.steps if s.watched is watched]
    names = [n for n in watched.named.leaves if not any(n in s.frozen for s in steps)]
    return {
        "number": watched.number,
        "name": type(watched.optimizer).__name__,
        "at": _text(watched.at),
        "steps": len(steps),
        "rates": steps[-1].rates if steps else watched.rates(),
        "names": names,
        "missing": [n for n in names if all(s.norms.get(n) is None for s in steps)]
        if steps
        else [],
        "roots": {name: type(model).__name__ for name, model in watched.named.roots.items()},
    }


def _text(at: Line | None) -> str | None:
    return None if at is None else str(at)


def of_gradients(diary: Diary, values: dict[str, Any]) -> Iterator[Finding]:
    """The recorded op calls, entry by entry."""
    calls = diary.tape or diary.handwritten
    with np.errstate(all="ignore"):
        proof = check_calls(calls, seed=0, budget=BUDGET)
    values["proof"] = {
        "calls": proof.certificate.calls,
        "entries": proof.certificate.entries,
        "of": "tape" if diary.tape else "handwritten",
    }
    for fault in proof.faults:
        yield fault.finding
