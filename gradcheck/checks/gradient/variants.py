"""The derived and extra inputs of an op case, for the check `gradient`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.crash import crash
from gradcheck.numerics.examine import examine
from gradcheck.numerics.inputs import variants
from gradcheck.numerics.ops.overflow import overflow
from gradcheck.numerics.telling.blame import at_home
from gradcheck.numerics.telling.merge import Examination
from gradcheck.probe.subject import Declared, Subject
from gradcheck.result import Finding, Json
from gradcheck.shards import Dealer, Shard
from gradcheck.yamlcases.case import InputSpec

BUDGET = 2e7
"""Budget of one derived input: small, for there are many."""
SMALL = 1000
"""Entries from which on the size of an input tells what its check costs."""
ENOUGH = 3
"""Findings after which no more inputs are tried."""


class Variants:
    """The derived and extra inputs of an op case, those that are dealt to one shard.

    tried: what became of each, in plain values. order: its place among all. kind: the name of what
    it derives from, None when the op refuses it. dropped: refused, be it in the backward.
    """

    def __init__(
        self, subject: Subject, declared: Declared, options: GradientOptions, shard: Shard
    ) -> None:
        self.subject, self.declared, self.options, self.shard = subject, declared, options, shard
        self.tried: list[Json] = []
        self.notes: list[str] = []

    def wanted(self, name: str) -> bool:
        chosen = self.options.variants
        listed = chosen if isinstance(chosen, bool) else name in chosen
        return listed and name not in self.options.skip_variants

    def candidates(self) -> Iterator[tuple[str, int, list[variants.Candidate]]]:
        operands = {n: self.subject.framework.get(t) for n, t in self.subject.operands.items()}
        rng = np.random.default_rng([self.subject.seed, 5])
        known = set(variants.NAMES)
        asked = self.options.variants if isinstance(self.options.variants, list) else []
        for name in itertools.chain(asked, self.options.skip_variants):
            if name not in known:
                self.notes.append(
                    f"no variant is called {name!r}; there are {', '.join(variants.NAMES)}"
                )
        yield from variants.derive(self.declared.inputs, operands, rng, self.wanted)
        for number, extra in enumerate(self.options.extra):
            specs = {
                n: s if isinstance(s, InputSpec) else InputSpec.model_validate(_spec(s))
                for n, s in extra.items()
            }
            arrays = dict(operands)
            arrays.update({n: variants.draw(s, rng) for n, s in specs.items()})
            full = {**self.declared.inputs, **specs}
            yield f"extra{number}", 1, [variants.Candidate(f"extra{number}", arrays, full)]

    def run(self, settings: dict[str, Any]) -> None:
        dealer = Dealer(self.shard)
        order = found = 0
        for name, keep, candidates in self.candidates():
            kept = 0
            for candidate in candidates:
                if kept == keep:
                    break
                order += 1
                subject = self.accepted(candidate)
                if subject is None:
                    if self.shard.last:  # counted once
                        self._tell(order, None, True, [])
                    continue
                kept += 1
                size = sum(a.size for a in candidate.arrays.values())
                if not dealer.mine(size + SMALL):
                    continue
                findings, dropped = self.examine(subject, candidate, settings)
                if name == "huge" and not findings:
                    findings = self.told(overflow(subject, candidate.arrays), candidate)
                self._tell(order, name, dropped, findings)
                found += len(findings)
                if found >= ENOUGH:
                    return

    def _tell(self, order: int, kind: str | None, dropped: bool, findings: list[Finding]) -> None:
        told = [f.to_json() for f in findings]
        self.tried.append({"order": order, "kind": kind, "dropped": dropped, "findings": told})

    def accepted(self, candidate: variants.Candidate) -> Subject | None:
        """The subject at these inputs, or None where the op refuses them."""
        try:
            subject = self.subject.fresh(arrays=candidate.arrays)
            with np.errstate(all="ignore"):
                output = subject.forward()
                value = np.asarray(subject.value(output))
        except Exception:  # refused: an op need not take everything (counted by the caller)
            return None
        if value.dtype.kind != "f" or not value.size or not np.isfinite(value).all():
            return None
        return subject

    def broadcasts(self, subject: Subject) -> bool:
        """Whether this is an elementwise op whose result has the shape numpy's rules give it."""
        values = [subject.framework.get(t) for t in subject.operands.values()]
        try:
            shape = np.broadcast_shapes(*(v.shape for v in values))
        except ValueError:
            return False
        declared = [self.subject.framework.get(t).shape for t in self.subject.operands.values()]
        results = [np.shape(s.value(s.forward())) for s in (subject, self.subject)]
        return (
            len(values) > 1 and results[0] == shape and results[1] == np.broadcast_shapes(*declared)
        )

    def examine(
        self, subject: Subject, candidate: variants.Candidate, settings: dict[str, Any]
    ) -> tuple[list[Finding], bool]:
        """Its findings, and whether the op refuses these inputs in its backward."""
        op = self.subject.name
        try:
            done: Examination = examine(subject, seed=subject.seed, budget=BUDGET, **settings)
        except Exception as error:
            done = Examination()
            if crash(error, name=op, is_op=True) is None:
                raise  # gradcheck's own
            if not self.broadcasts(subject):
                return [], True
            done.findings.append(
                Finding(
                    code="bad_shape",
                    op=op,
                    message=f"{op} broadcasts its inputs and its backward cannot handle that: "
                    f"{type(error).__name__}: {' '.join(str(error).split())}",
                    where=self.declared.home,
                    advice="sum the cotangent over the axes along which the input was repeated",
                )
            )
        return self.told(done.findings[:1], candidate), False

    def told(self, findings: list[Finding], candidate: variants.Candidate) -> list[Finding]:
        """Findings of a variant, with a case to paste."""
        name = f"{self.declared.title}_{candidate.name}"
        paste = variants.as_yaml(name, self.subject.name, self.subject.args, candidate.specs)
        shown = []
        for finding in findings:
            finding = at_home(finding, self.declared.home)
            shown.append(
                dataclasses.replace(
                    finding,
                    message=f"{finding.message} (variant: {candidate.name})",
                    lines=(*finding.lines, "as a case of its own:", *("  " + p for p in paste)),
                    data={**finding.data, "variant": candidate.name, "case": "\n".join(paste)},
                )
            )
        return shown


def counted_variants(tried: list[Json]) -> tuple[list[Finding], dict[str, Any]]:
    """Findings and measurements of the derived inputs of all shards, up to the last one that the
    check would have looked at, had it not been divided."""
    findings: list[Finding] = []
    kinds: dict[str, int] = {}
    dropped = 0
    for told in sorted(tried, key=lambda t: t["order"]):
        if len(findings) >= ENOUGH:
            break
        if told["kind"] is not None:
            kinds[told["kind"]] = kinds.get(told["kind"], 0) + 1
        dropped += told["dropped"]
        findings += [Finding.from_json(f) for f in told["findings"]]
    measured = {
        "variants": sum(kinds.values()),
        "variant_kinds": kinds,
        "variants_dropped": dropped,
    }
    return findings, measured


def _spec(value: Any) -> Any:
    """A shape alone, or the keys of an `InputSpec`."""
    if isinstance(value, (list, tuple)):
        return {"shape": tuple(value)}
    if isinstance(value, dict) and isinstance(value.get("shape"), list):
        return {**value, "shape": tuple(value["shape"])}
    return value
