"""The check `gradient`: analytic against numeric gradients, op by op and end to end."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.case import Case, InputSpec
from gradcheck.checks.base import Options
from gradcheck.checks.gradient_options import GradientOptions
from gradcheck.crash import crash
from gradcheck.numerics import variants
from gradcheck.numerics.blame import at_home
from gradcheck.numerics.examine import Examination, examine
from gradcheck.numerics.overflow import overflow
from gradcheck.numerics.threads import one_blas_thread
from gradcheck.result import Finding, Result
from gradcheck.subject import Subject

VARIANT_BUDGET = 2e7
"""Budget of one derived input: small, for there are many."""


class Gradient:
    """Every gradient equals the numeric one: each op entry by entry, each tensor end to end."""

    name = "gradient"
    Options: type[Options] = GradientOptions

    def applies(self, case: Case) -> str | None:
        return None

    def run(self, subject: Subject, options: GradientOptions) -> Result:
        with one_blas_thread():
            return self._run(subject, options)

    def _run(self, subject: Subject, options: GradientOptions) -> Result:
        if subject.framework.precision.data == "float64" and subject.dtype != "float64":
            subject = subject.fresh(dtype="float64")
        settings = settings_of(options)
        done = examine(subject, seed=subject.seed, budget=options.budget, **settings)
        measured = done.certificate.measurements()
        if subject.case.op is not None:
            home = subject.registry.get("op", subject.case.op, subject.case.framework).where
            done.findings = [at_home(f, home) for f in done.findings]
            if not done.findings:
                tried = Variants(subject, options, home)
                done.findings += tried.run(settings)
                measured.update(tried.measurements())
                done.notes += tried.notes
        return Result(
            findings=tuple(done.findings),
            measurements=measured,
            notes=tuple(done.notes),
            figures=done.figures,
        )


def settings_of(options: GradientOptions) -> dict[str, Any]:
    """What `examine` is told, apart from the budget."""
    return {
        "directions": options.directions,
        "exhaustive": options.exhaustive,
        "method": options.method,
        "order": options.order,
    }


class Variants:
    """The derived and extra inputs of an op case."""

    def __init__(self, subject: Subject, options: GradientOptions, home: str | None) -> None:
        self.subject, self.options, self.home = subject, options, home
        self.checked: dict[str, int] = {}
        self.dropped = 0
        self.notes: list[str] = []

    def measurements(self) -> dict[str, Any]:
        return {
            "variants": sum(self.checked.values()),
            "variant_kinds": dict(self.checked),
            "variants_dropped": self.dropped,
        }

    def wanted(self, name: str) -> bool:
        chosen = self.options.variants
        listed = chosen if isinstance(chosen, bool) else name in chosen
        return listed and name not in self.options.skip_variants

    def candidates(self) -> Iterator[tuple[str, int, list[variants.Candidate]]]:
        case = self.subject.case
        operands = {n: self.subject.framework.get(t) for n, t in self.subject.operands.items()}
        rng = np.random.default_rng([self.subject.seed, 5])
        known = set(variants.NAMES)
        asked = self.options.variants if isinstance(self.options.variants, list) else []
        for name in itertools.chain(asked, self.options.skip_variants):
            if name not in known:
                self.notes.append(
                    f"no variant is called {name!r}; there are {', '.join(variants.NAMES)}"
                )
        yield from variants.derive(case.inputs, operands, rng, self.wanted)
        for number, extra in enumerate(self.options.extra):
            specs = {
                n: s if isinstance(s, InputSpec) else InputSpec.model_validate(_spec(s))
                for n, s in extra.items()
            }
            arrays = dict(operands)
            arrays.update({n: variants.draw(s, rng) for n, s in specs.items()})
            full = {**case.inputs, **specs}
            yield f"extra{number}", 1, [variants.Candidate(f"extra{number}", arrays, full)]

    def run(self, settings: dict[str, Any]) -> list[Finding]:
        findings: list[Finding] = []
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
                self.checked[name] = self.checked.get(name, 0) + 1
                found = self.examine(subject, candidate, settings)
                if name == "huge" and not found:
                    found = self.told(overflow(subject, candidate.arrays), candidate)
                findings += found
                if len(findings) >= 3:
                    return findings
        return findings

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
    ) -> list[Finding]:
        case = self.subject.case
        try:
            done: Examination = examine(
                subject, seed=subject.seed, budget=VARIANT_BUDGET, **settings
            )
        except Exception as error:
            done = Examination()
            if crash(error, case) is None:
                raise  # gradcheck's own
            if not self.broadcasts(subject):
                self.dropped += 1  # refused, though not before the backward
                return []
            done.findings.append(
                Finding(
                    code="bad_shape",
                    op=case.op,
                    message=f"{case.op} broadcasts its inputs and its backward cannot handle that: "
                    f"{type(error).__name__}: {' '.join(str(error).split())}",
                    where=self.home,
                    advice="sum the cotangent over the axes along which the input was repeated",
                )
            )
        return self.told(done.findings[:1], candidate)

    def told(self, findings: list[Finding], candidate: variants.Candidate) -> list[Finding]:
        """Findings of a variant, with a case to paste."""
        case = self.subject.case
        name = f"{case.name}_{candidate.name}"
        paste = variants.as_yaml(name, str(case.op), case.args, candidate.specs)
        shown = []
        for finding in findings:
            finding = at_home(finding, self.home)
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
