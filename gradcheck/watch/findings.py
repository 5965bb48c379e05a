"""What is wrong, of the diary of the first steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import OpCall
from gradcheck.numerics.calls import check_calls
from gradcheck.result import Finding
from gradcheck.source.line import Line
from gradcheck.watch.causal import of_causality
from gradcheck.watch.data import of_data
from gradcheck.watch.look import Diary, Step
from gradcheck.watch.session import Session, Watched
from gradcheck.watch.steps import of_steps
from gradcheck.watch.surrogates import surrogate
from gradcheck.watch.trial import scale_of

BUDGET = 5e7
"""Numbers that the proof of the ops may read and write, as in the check `gradient`."""


def facts(session: Session, diary: Diary) -> dict[str, Any]:
    """Everything that the process which asked needs to know, as JSON values; and findings."""
    notes: list[str] = []
    found = [
        *_of("data", of_data(session, diary, notes)),
        *_of("updates", of_steps(session, diary)),
    ]
    if any(scale_of(b.loss, b.calls[-1].value) > 1 for b in diary.backwards if b.calls):
        notes.append(
            "the loss is scaled (mixed precision): gradients of half precision were not checked"
        )
    return {
        "optimizers": [_optimizer(w, diary) for w in session.optimizers],
        "steps": len(diary.steps),
        "backwards": len(diary.backwards),
        "losses": [b.loss for b in diary.backwards],
        "beside": _beside(session, diary),
        "seconds": diary.seconds,
        "findings": found,
        "notes": notes,
    }


def _of(check: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, with the question that they answer."""
    for finding in findings:
        yield dataclasses.replace(finding, data={**finding.data, "check": check})


def _beside(session: Session, diary: Diary) -> list[str]:
    """The classes of models that take part and are, at least in part, in no optimizer, though they
    could be trained: a target network, a model of perception."""
    held = {id(p) for w in session.optimizers for p in w.held()}
    found = {}
    for fed in diary.fed:
        for watched in session.optimizers[:1]:
            framework = watched.framework
            leaves = framework.named_parameters(fed.model).values()
            if any(framework.trainable(p) and id(p) not in held for p in leaves):
                found[type(fed.model).__name__] = True
    return list(found)


def _optimizer(watched: Watched, diary: Diary) -> dict[str, Any]:
    steps = [s for s in diary.steps if s.watched is watched]
    names = [n for n in watched.named.leaves if not any(n in s.frozen for s in steps)]
    return {
        "number": watched.number,
        "name": type(watched.optimizer).__name__,
        "framework": watched.framework.name,
        "at": _text(watched.at),
        "steps": len(steps),
        "rates": steps[-1].rates if steps else watched.rates(),
        "names": names,
        "missing": [watched.full_name(n) for n in _missing(watched, diary, names, steps)],
        "roots": {name: type(model).__name__ for name, model in watched.named.roots.items()},
    }


def _missing(watched: Watched, diary: Diary, names: list[str], steps: list[Step]) -> list[str]:
    """Names without gradient in every step; where the script did not come to a step, all of them
    if backward() left none."""
    if steps:
        return [n for n in names if all(s.norms.get(n) is None for s in steps)]
    ran = [b for b in diary.backwards if watched.number in b.clean]
    return names if ran and not any(b.filled.get(watched.number) for b in ran) else []


def of_probes(diary: Diary) -> Iterator[Finding]:
    """What running the model again shows. It is of no use to the script afterwards."""
    yield from _of("data", of_causality(diary))


def _text(at: Line | None) -> str | None:
    return None if at is None else str(at)


def of_gradients(diary: Diary, values: dict[str, Any]) -> Iterator[Finding]:
    """The recorded op calls, entry by entry."""
    calls: list[OpCall] = []
    meant: dict[str, str] = {}
    for call in diary.tape or diary.handwritten:
        why = surrogate(call)
        if why is None:
            calls.append(call)
        else:
            meant[call.name] = why
    values["notes"] += [
        f"the backward of {name} was not checked: {why}, so it is meant to be something else"
        for name, why in meant.items()
    ]
    with np.errstate(all="ignore"):
        proof = check_calls(calls, seed=0, budget=BUDGET)
    values["proof"] = {
        "calls": proof.certificate.calls,
        "entries": proof.certificate.entries,
        "of": "tape" if diary.tape else "handwritten",
    }
    for fault in proof.faults:
        yield from _of("gradient", [fault.finding])
