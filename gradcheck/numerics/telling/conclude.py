"""Turn what was seen at a point into findings and a certificate.

This module draws the conclusions about the whole: what is worst, how many tensors are wrong, and
whether a wrong op explains the wrong leaves.
"""

from __future__ import annotations

import copy
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.numerics.core.verdict import VISIBLE
from gradcheck.numerics.end_to_end.explain import Explained
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.telling import blame
from gradcheck.numerics.telling.evidence import (
    Certificate,
    ComplexSteps,
    Entries,
    LeafEvidence,
    LocalProof,
    Seen,
)
from gradcheck.numerics.telling.exits import with_exits
from gradcheck.result import Finding, Result, each_once

MOST = 5
"""Findings shown for one point."""
MOST_LEAVES = 3
"""Leaves whose wrong entry is named, where directions found them."""
SHOWN = 4
"""Tensors that a sentence names."""
NOTHING_MORE: Mapping[str, Any] = {}
BESIDE = "the point is at a kink, so the end-to-end check ran at a point beside it"


@dataclass(frozen=True)
class Second:
    """What second derivatives showed. note: why they could not be checked."""

    findings: tuple[Finding, ...] = ()
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that was seen at a point.

    replayable: whether there is a tape to run again. ends: directions through the leaves. beside:
    the same at a point beside the kinks, when a leaf failed here and none there. entries, complex,
    second: None when they were not asked for. explained: what is wrong only because values leave
    the graph. evaluations: runs of the forward. notes, closing_notes: sentences that qualify a
    pass, the latter last.
    """

    point: Point
    local: LocalProof
    replayable: bool
    ends: Seen
    beside: Seen | None = None
    entries: Entries | None = None
    complex: ComplexSteps | None = None
    second: Second | None = None
    explained: Explained | None = None
    evaluations: int
    notes: tuple[str, ...] = ()
    closing_notes: tuple[str, ...] = ()


@dataclass
class Examination:
    """The verdict on one point. point: None where there was nothing to compare. reason: why not,
    where nothing is wrong with that."""

    findings: list[Finding] = field(default_factory=list)
    certificate: Certificate = field(default_factory=Certificate)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    point: Point | None = None
    reason: str | None = None

    def result(self, more: Mapping[str, Any] = NOTHING_MORE) -> Result:
        """Return the result of a check. more: measurements besides those of the certificate."""
        return Result(
            findings=tuple(self.findings),
            measurements={**self.certificate.measurements(), **more},
            notes=tuple(self.notes),
            figures=self.figures,
            reason=self.reason,
        )


def conclude(evidence: Evidence, allowed: float = 0.0) -> Examination:
    """Reach the verdict on a point that could be checked.

    allowed: the share of the leaves that need not be seen.
    """
    point, local = evidence.point, evidence.local
    done = Examination(
        certificate=copy.deepcopy(local.certificate),
        notes=each_once(evidence.notes),
        figures=dict(local.figures),
        point=point,
    )
    certificate = done.certificate
    ends = evidence.ends
    if evidence.beside is not None and len(evidence.beside.unseen) <= len(unseen(evidence)):
        done.notes.append(BESIDE)
        ends = evidence.beside
    certificate.add_ends(ends, sum(point.values[n].size for n in point.trainable))
    certificate.evaluations += evidence.evaluations
    if local.faults:
        done.findings = [blame.also(f.finding, f.more) for f in local.faults]
        done.findings[0] = blame.with_consequences(
            done.findings[0], list(ends.wrong), len(point.trainable)
        )
        done.findings = with_exits(done.findings, evidence.explained)
    else:
        faults, names = _wrong_leaves(evidence, ends, done)
        leaves = [
            blame.wrong_leaf(
                leaf,
                names,
                certificate.leaves,
                ops_are_right=evidence.replayable and evidence.explained is None,
                first=place == 0,
            )
            for place, leaf in enumerate(faults)
        ]
        if evidence.explained is not None:
            leaves = with_exits(leaves, evidence.explained)
        done.findings = [*point.findings, *leaves]
        hidden = unseen(dataclasses.replace(evidence, ends=ends)) if ends.blind else {}
        if not done.findings and len(hidden) > allowed * len(ends.leaves):
            done.findings = [_undecided(ends, hidden)]
        else:
            done.notes += _undecided_note(ends)
    if evidence.second is not None and not done.findings:
        done.findings += evidence.second.findings
        done.notes += [evidence.second.note] if evidence.second.note else []
    done.findings = done.findings[:MOST]
    done.notes += [*_precision_note(evidence, ends), *evidence.closing_notes]
    return done


def _wrong_leaves(
    evidence: Evidence, ends: Seen, done: Examination
) -> tuple[list[LeafEvidence], list[str]]:
    """Wrong leaves with their worst entry, and the names of all wrong ones: those that directions
    found first. Notes and figures go into `done`."""
    faults, names = list(ends.faults[:MOST_LEAVES]), list(ends.wrong)
    if faults and faults[0].fault.drawn:
        done.figures["heatmap"] = {faults[0].fault.name: faults[0].fault.drawn}
    by_entry: list[LeafEvidence] = []
    if evidence.entries is not None:
        done.certificate.exhaustive = True
        by_entry += evidence.entries.faults
        if evidence.entries.heatmap:
            done.figures["heatmap"] = dict(evidence.entries.heatmap)
    if evidence.complex is not None:
        by_entry += evidence.complex.faults
        if evidence.complex.stopped is not None:
            done.notes.append(evidence.complex.stopped)
        else:
            done.certificate.exhaustive = evidence.complex.every
            done.certificate.complex_error = evidence.complex.worst
    for leaf in sorted(by_entry, key=lambda f: f.place):
        if leaf.fault.name not in [f.fault.name for f in faults]:
            faults.append(leaf)
            names.append(leaf.fault.name)
    return faults, list(dict.fromkeys(names))


def unseen(evidence: Evidence) -> dict[str, float]:
    """The leaves in which not even an error of one percent would have been noticed, and how large
    one may be. Of a single op every entry was looked at: then that counts too."""
    single = len(evidence.point.tape or ()) == 1
    entries = evidence.local.certificate.leaf_limits if single else {}
    hidden = evidence.ends.unseen
    return {n: limit for n, limit in hidden.items() if not entries.get(n, np.inf) <= VISIBLE}


def _undecided(ends: Seen, hidden: Mapping[str, float]) -> Finding:
    """Nothing was found wrong, and nothing would have been."""
    why = (
        "the forward answers in steps or with noise, as where it computes in float16 or bfloat16"
        if ends.rough
        else "what small changes of them do to the result drowns in its rounding, or it has kinks "
        "wherever they move"
    )
    limit = max(hidden.values())
    return Finding(
        code="undecided",
        parameter=next(iter(hidden)),
        message=f"{len(hidden)} of {len(ends.leaves)} tensors could not be checked "
        f"({_some(list(hidden))}): {_hidden(limit)}",
        lines=(why,),
        advice="let the subject compute in float64 where it is checked; or accept it with "
        "`undecided: 1`, the share of the tensors that need not be seen",
        data={"tensors": {n: limit if np.isfinite(limit) else None for n, limit in hidden.items()}},
    )


def _undecided_note(ends: Seen) -> list[str]:
    """What could not be decided end to end, as a note."""
    if not ends.blind:
        return []
    names = list(ends.blind)
    return [
        f"{len(names)} of {len(ends.leaves)} tensors are undecided end to end ({_some(names)}): "
        f"{_hidden(max(ends.blind.values()))}"
    ]


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _hidden(limit: float) -> str:
    if not np.isfinite(limit):
        return "any error may be hidden there"
    return f"relative errors up to {limit:.0e} may be hidden there"


def _precision_note(evidence: Evidence, ends: Seen) -> Sequence[str]:
    precision = evidence.point.precision
    if precision.double:
        return []
    limit = statistics.median(ends.limits) if ends.limits else 0.0
    if not ends.rough:
        limit = max(limit, precision.relative)
    framework = evidence.point.subject.framework.precision
    where = "this framework computes"
    if {framework.data, framework.gradients} == {"float64"}:
        where = "values or gradients are"
    return [f"{where} in {precision.name}: relative errors below about {limit:.0e} cannot be seen"]
