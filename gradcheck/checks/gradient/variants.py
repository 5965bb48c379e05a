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
from gradcheck.numerics.telling.conclude import Examination
from gradcheck.probe.subject import Declared, Subject
from gradcheck.result import Finding
from gradcheck.yamlcases.case import InputSpec

BUDGET = 2e7
"""Budget of one derived input: small, for there are many."""
ENOUGH = 3
"""Findings after which no more inputs are tried."""


class Variants:
    """The derived and extra inputs of an op case.

    kinds: how many inputs of each kind the op takes. dropped: how
    many it refuses, in the forward or in the backward.
    """

    def __init__(self, subject: Subject, declared: Declared, options: GradientOptions) -> None:
        self.subject, self.declared, self.options = subject, declared, options
        self.settings = dataclasses.replace(options.settings(), budget=BUDGET)
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.kinds: dict[str, int] = {}
        self.dropped = 0

    def measurements(self) -> dict[str, Any]:
        return {
            "variants": sum(self.kinds.values()),
            "variant_kinds": self.kinds,
            "variants_dropped": self.dropped,
        }

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

    def run(self) -> None:
        for name, keep, candidates in self.candidates():
            kept = 0
            for candidate in candidates:
                if kept == keep:
                    break
                subject = self.accepted(candidate)
                if subject is None:
                    self.dropped += 1
                    continue
                kept += 1
                self.kinds[name] = self.kinds.get(name, 0) + 1
                findings, dropped = self.examine(subject, candidate)
                self.dropped += dropped
                if name == "huge" and not findings:
                    findings = self.worded(overflow(subject, candidate.arrays), candidate)
                self.findings += findings
                if len(self.findings) >= ENOUGH:
                    return

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
        self, subject: Subject, candidate: variants.Candidate
    ) -> tuple[list[Finding], bool]:
        """Its findings, and whether the op refuses these inputs in its backward."""
        op = self.subject.name
        try:
            done = examine(subject, self.settings)
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
        return self.worded(done.findings[:1], candidate), False

    def worded(self, findings: list[Finding], candidate: variants.Candidate) -> list[Finding]:
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


def _spec(value: Any) -> Any:
    """A shape alone, or the keys of an `InputSpec`."""
    if isinstance(value, (list, tuple)):
        return {"shape": tuple(value)}
    if isinstance(value, dict) and isinstance(value.get("shape"), list):
        return {**value, "shape": tuple(value["shape"])}
    return value
