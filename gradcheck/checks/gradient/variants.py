"""The derived and extra inputs of an op case, for the check `gradient`."""

from __future__ import annotations

import dataclasses
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
from gradcheck.yamlcases.inputs import draw_inputs

BUDGET = 2e7
"""Budget of one derived input: small, because there are many."""
SMALL = 1000
"""Fixed cost of checking an input, in entries: below that its size hardly matters."""
ENOUGH = 3
"""Findings after which no more inputs are tried."""


class Variants:
    """Checks an op at derived and extra inputs: those that are dealt to one shard.

    tried: what became of each, in plain values. order: its place among all. kind: the name of what
    it derives from, None when the op refuses it. dropped: the op raised, in forward or backward.
    """

    def __init__(
        self, subject: Subject, declared: Declared, options: GradientOptions, shard: Shard
    ) -> None:
        self.subject, self.declared, self.options, self.shard = subject, declared, options, shard
        self.tried: list[Json] = []
        self.notes: list[str] = []

    def wanted(self, name: variants.VariantName) -> bool:
        return name in self.options.variants and name not in self.options.skip_variants

    def candidates(self) -> Iterator[tuple[str, int, list[variants.Candidate]]]:
        operands = {n: self.subject.framework.get(t) for n, t in self.subject.operands.items()}
        rng = np.random.default_rng([self.subject.seed, 5])
        yield from variants.derive(self.declared.inputs, operands, rng, self.wanted)
        for number, specs in enumerate(self.options.extra):
            arrays = {**operands, **draw_inputs(specs, rng)}
            full = {**self.declared.inputs, **specs}
            name = f"extra{number}"
            yield name, 1, [variants.Candidate(name, arrays, full, asked=True)]

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
                if isinstance(subject, str):
                    if self.shard.last:  # counted once
                        refused = [self.refused(subject, candidate)] if candidate.asked else []
                        self._tell(order, None, True, refused)
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

    def accepted(self, candidate: variants.Candidate) -> Subject | str:
        """The subject at these inputs, or a clause on how the op refuses them."""
        try:
            subject = self.subject.fresh(arrays=candidate.arrays)
            with np.errstate(all="ignore"):
                output = subject.forward()
                value = np.asarray(subject.value(output))
        except Exception as error:  # an op need not take every derived input
            return self.said(error)
        if value.dtype.kind != "f" or not value.size:
            return f"its value is {value.dtype} of shape {list(value.shape)}"
        if not np.isfinite(value).all():
            return "its value is not finite"
        return subject

    def refused(self, said: str, candidate: variants.Candidate) -> Finding:
        """The finding for inputs that the case declares and that the op does not take."""
        op = self.subject.name
        shapes = ", ".join(f"{n} {list(a.shape)}" for n, a in candidate.arrays.items())
        return Finding(
            code="extra_refused",
            op=op,
            message=f"{op} refuses the inputs {candidate.name} ({shapes}): {said}",
            where=self.declared.home,
            advice="correct `extra` of the check, or make the op accept these inputs",
            data={"variant": candidate.name},
        )

    def broadcasts(self, subject: Subject) -> bool:
        """Whether this is an elementwise op whose result has the shape numpy's rules give it."""
        if len(subject.operands) < 2:
            return False
        for one in (self.subject, subject):
            shapes = [one.framework.get(t).shape for t in one.operands.values()]
            try:
                expected = np.broadcast_shapes(*shapes)
            except ValueError:
                return False
            if np.shape(one.value(one.forward())) != expected:
                return False
        return True

    def examine(
        self, subject: Subject, candidate: variants.Candidate, settings: dict[str, Any]
    ) -> tuple[list[Finding], bool]:
        """Its findings, and whether these inputs are dropped because the op raised."""
        op = self.subject.name
        try:
            done: Examination = examine(subject, seed=subject.seed, budget=BUDGET, **settings)
        except Exception as error:
            raised = crash(error, name=op, is_op=True)
            if raised is None:
                raise  # gradcheck's own
            if self.broadcasts(subject):
                raised = Finding(
                    code="bad_shape",
                    op=op,
                    message=f"{op} broadcasts its inputs and its backward cannot handle that: "
                    f"{_said(error)}",
                    where=self.declared.home,
                    advice="sum the cotangent over the axes along which the input was repeated",
                )
            elif not candidate.asked:
                self.note(candidate, raised.message)
                return [], True
            return self.told([raised], candidate), False
        return self.told(done.findings[:1], candidate), False

    def note(self, candidate: variants.Candidate, said: str) -> None:
        """The op accepts derived inputs and then raises: one note for each kind of variant."""
        start = f"variant {candidate.name} was dropped: the forward accepts it, and "
        if not any(note.startswith(start) for note in self.notes):
            where = "the backward" if self.backward_raises(candidate) else "a call nearby"
            self.notes.append(f"{start}{where} raises: {said}")

    def backward_raises(self, candidate: variants.Candidate) -> bool:
        subject = self.subject.fresh(arrays=candidate.arrays)
        value = subject.value(subject.forward())
        try:
            subject.gradients(np.ones_like(value))
        except Exception:
            return True
        return False

    def said(self, error: Exception) -> str:
        raised = crash(error, name=self.subject.name, is_op=True)
        return _said(error) if raised is None else raised.message

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


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
