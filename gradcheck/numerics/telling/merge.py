"""The verdict over all parts of a check, the same however it was divided.

A part is what `examine.look` returns: plain JSON values, so that it comes through processes and
files unchanged. Everything that is said of the whole (what is worst, how many of how many, whether
a wrong op explains wrong leaves) is said here.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.numerics.end_to_end.preflight import Point
from gradcheck.numerics.ops.calls import one_each
from gradcheck.numerics.telling import blame
from gradcheck.numerics.telling.certificate import Certificate
from gradcheck.result import Finding, Json, each_once

Part = dict[str, Json]

MOST = 5
"""Findings shown for one point."""
MOST_LEAVES = 3
"""Leaves whose wrong entry is named, where directions found them."""


@dataclass
class Examination:
    findings: list[Finding] = field(default_factory=list)
    certificate: Certificate = field(default_factory=Certificate)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    point: Point | None = None


def merged(parts: Sequence[Part]) -> Examination:
    """What the shards found together. With one of them missing: what the others found."""
    stopped = each_once(Finding.from_json(p["stopped"]) for p in parts if p.get("stopped"))
    alive = [p for p in parts if not p.get("stopped")]
    done = _Merger(alive).done if alive else Examination()
    done.findings = [*stopped, *done.findings][:MOST]
    return done


class _Merger:
    """Parts of a point that could be checked."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts, self.first = parts, parts[0]
        self.done = done = Examination()
        done.notes += each_once(note for p in parts for note in p["notes"])
        locals_ = [p["local"] for p in parts if "local" in p]
        done.certificate = Certificate.merged([p["certificate"] for p in locals_])
        self.faults = one_each([f for p in locals_ for f in p["faults"]])
        for _, figures in sorted((f for p in locals_ for f in p["figures"]), key=lambda f: f[0]):
            done.figures = done.figures or figures
        if self.faults:
            done.findings += [
                blame.also(Finding.from_json(f["finding"]), f["more"]) for f in self.faults
            ]
        else:
            done.findings += [Finding.from_json(f) for f in self.first["findings"]]
        self.end_to_end()
        self.second_order()
        self.closing_notes()

    def end_to_end(self) -> None:
        done, certificate = self.done, self.done.certificate
        ends = self.ends()
        self.limits = [float(limit) for e in ends for limit in e["limits"]]
        wrong = sorted((w for e in ends for w in e["wrong"]), key=lambda w: (-float(w[1]), w[2]))
        names = [str(name) for name, _, _ in wrong]
        faults = sorted(
            (f for e in ends for f in e["faults"]), key=lambda f: (-float(f["rank"]), f["leaf"])
        )[:MOST_LEAVES]
        if not self.faults:
            if faults and faults[0]["drawn"]:  # of the worst leaf, as when one shard has them all
                done.figures["heatmap"] = {faults[0]["name"]: faults[0]["drawn"]}
            for fault in self.by_entry():
                if fault["name"] not in [f["name"] for f in faults]:
                    faults.append(fault)
                    names.append(fault["name"])
        certificate.add_ends(ends, self.first["entries"])
        certificate.evaluations += sum(p["evaluations"] for p in self.parts)
        names = list(dict.fromkeys(names))
        if self.faults:
            done.findings[0] = blame.with_consequences(
                done.findings[0], names, self.first["trainable"]
            )
        else:
            done.findings += blame.end_to_end(
                faults, names, certificate.leaves, local=self.first["replay"]
            )

    def ends(self) -> list[Json]:
        """What each shard saw along directions, by the rule that fits the whole."""
        if self.faults:
            return [p.get("quick") or p["ends"] for p in self.parts]
        ends = [p["ends"] for p in self.parts if "ends" in p]
        beside = next((p["beside"] for p in self.parts if p.get("beside")), None)
        if beside is not None and self.done.certificate.kinks:
            self.done.notes.append("the point is at a kink: end to end it was checked beside it")
            return [beside]
        return ends

    def by_entry(self) -> list[Json]:
        """Leaves that are wrong entry by entry, in their order; of each its worst entry."""
        certificate = self.done.certificate
        faults: list[Json] = []
        maps: dict[str, Json] = {}
        for told in (p["exhaustive"] for p in self.parts if "exhaustive" in p):
            certificate.exhaustive = True
            faults += told["faults"]
            for name, heat in told["heatmap"].items():
                maps[name] = _hotter(maps[name], heat) if name in maps else heat
        if maps:
            self.done.figures["heatmap"] = maps
        faults += self.by_complex_steps()
        faults.sort(key=lambda f: (f["leaf"], -abs(float(f["analytic"]) - float(f["numeric"]))))
        kept: dict[str, Json] = {}
        for fault in faults:
            kept.setdefault(fault["name"], fault)
        return list(kept.values())

    def by_complex_steps(self) -> list[Json]:
        tried = [p["complex"] for p in self.parts if "complex" in p]
        certificate, notes = self.done.certificate, self.done.notes
        if not tried:
            return []
        if None in tried:
            notes.append(
                "complex steps need a tape that the forward follows; real differences were used"
            )
            return []
        faults = [f for told in tried for f in told["faults"]]
        stops = [told["stopped"] for told in tried if told["stopped"]]
        if stops:
            leaf, reason = min(stops)
            notes.append(f"no complex steps, real differences were used: {reason}")
            return [f for f in faults if f["leaf"] < leaf]
        certificate.exhaustive = tried[0]["every"]
        certificate.complex_error = max(float(told["worst"]) for told in tried)
        return faults

    def second_order(self) -> None:
        for told in (p["second"] for p in self.parts if "second" in p):
            if not self.done.findings:
                self.done.findings += [Finding.from_json(f) for f in told["findings"]]
                self.done.notes += [told["note"]] if told["note"] else []

    def closing_notes(self) -> None:
        if self.first["float32"] is not None:
            middle = statistics.median(self.limits) if self.limits else 0.0
            limit = max(middle, float(self.first["float32"]))
            self.done.notes.append(
                "this framework computes in float32: relative errors below about "
                f"{limit:.0e} cannot be seen"
            )
        self.done.notes += self.first["closing_notes"]


def _hotter(one: Mapping[str, Json], other: Mapping[str, Json]) -> Json:
    """Two heat maps of a leaf, of different entries, as one."""
    rows = zip(one["relative_error"], other["relative_error"])
    return {**one, "relative_error": [[max(a, b) for a, b in zip(*row)] for row in rows]}
