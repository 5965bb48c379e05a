"""The derived and extra inputs of an op case, for the check `gradient`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.checks.gradient.declared import surrogates
from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.crash import crash
from gradcheck.numerics.examine import examine
from gradcheck.numerics.inputs import variants
from gradcheck.numerics.ops.overflow import overflow
from gradcheck.numerics.telling.blame import at_home
from gradcheck.probe.subject import Declared, Subject
from gradcheck.result import Finding
from gradcheck.yamlcases.inputs import draw_inputs

BUDGET = 2e7
"""Budget of one derived input: small, because there are many."""
ENOUGH = 3
"""Findings after which no more inputs are tried."""


class Variants:
    """Checks an op at derived and extra inputs.

    kinds: how many inputs of each kind the op takes. dropped: at how many it raised, in the
    forward or in the backward.
    """

    def __init__(self, subject: Subject, declared: Declared, options: GradientOptions) -> None:
        self.subject, self.declared, self.options = subject, declared, options
        meant = surrogates(subject, options)
        self.settings = dataclasses.replace(options.settings(), budget=BUDGET, surrogate=meant)
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

    def wanted(self, name: variants.VariantName) -> bool:
        return name in self.options.variants and name not in self.options.skip_variants

    def candidates(self) -> Iterator[tuple[str, int, list[variants.Candidate]]]:
        operands = {n: self.subject.framework.get(t) for n, t in self.subject.operands.items()}
        rng = np.random.default_rng([self.subject.seed, 5])
        yield from variants.derive(
            self.declared.inputs,
            operands,
            rng,
            self.wanted,
            args=self.subject.args,
            defaults=self.declared.defaults,
        )
        for number, specs in enumerate(self.options.extra):
            arrays = {**operands, **draw_inputs(specs, rng)}
            full = {**self.declared.inputs, **specs}
            name = f"extra{number}"
            yield name, 1, [variants.Candidate(name, arrays, full, asked=True)]

    def run(self) -> None:
        for name, keep, candidates in self.candidates():
            kept = 0
            for candidate in candidates:
                if kept == keep:
                    break
                subject = self.accepted(candidate)
                if isinstance(subject, str):
                    self.dropped += 1
                    if candidate.asked:
                        self.findings.append(self.refused(subject, candidate))
                    continue
                kept += 1
                self.kinds[name] = self.kinds.get(name, 0) + 1
                findings, dropped = self.examine(subject, candidate)
                self.dropped += dropped
                if name == "huge" and not findings:
                    findings = self.overflowing(subject, candidate)
                self.findings += findings
                if len(self.findings) >= ENOUGH:
                    return

    def overflowing(self, subject: Subject, candidate: variants.Candidate) -> list[Finding]:
        """What overflows in float32 and not in float64."""
        try:
            return self.worded(overflow(subject, candidate.arrays), candidate)
        except Exception:  # an op need not take float32
            return []

    def accepted(self, candidate: variants.Candidate) -> Subject | str:
        """The subject at these inputs, or a clause on how the op refuses them."""
        try:
            subject = self.at(candidate)
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

    def at(self, candidate: variants.Candidate) -> Subject:
        changes = {} if candidate.args is None else {"args": candidate.args}
        return self.subject.fresh(arrays=candidate.arrays, **changes)

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
        self, subject: Subject, candidate: variants.Candidate
    ) -> tuple[list[Finding], bool]:
        """Its findings, and whether these inputs are dropped because the op raised."""
        op = self.subject.name
        try:
            done = examine(subject, self.settings)
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
            return self.worded([raised], candidate), False
        undecided = [f for f in done.findings if f.code == "undecided"]
        if undecided:  # at inputs of ours that is no fault
            note = f"variant {candidate.name}: {undecided[0].message}"
            self.notes += [note] if note not in self.notes else []
            return [], False
        return self.worded(done.findings[:1], candidate), False

    def note(self, candidate: variants.Candidate, said: str) -> None:
        """The op accepts derived inputs and then raises: one note for each kind of variant."""
        start = f"variant {candidate.name} was dropped: the forward accepts it, and "
        if not any(note.startswith(start) for note in self.notes):
            where = "the backward" if self.backward_raises(candidate) else "a call nearby"
            self.notes.append(f"{start}{where} raises: {said}")

    def backward_raises(self, candidate: variants.Candidate) -> bool:
        subject = self.at(candidate)
        value = subject.value(subject.forward())
        try:
            subject.gradients(np.ones_like(value))
        except Exception:
            return True
        return False

    def said(self, error: Exception) -> str:
        raised = crash(error, name=self.subject.name, is_op=True)
        return _said(error) if raised is None else raised.message

    def worded(self, findings: list[Finding], candidate: variants.Candidate) -> list[Finding]:
        """Findings of a variant, with a case to paste."""
        name = f"{self.declared.title}_{candidate.name}"
        args = self.subject.args if candidate.args is None else candidate.args
        paste = variants.as_yaml(name, self.subject.name, args, candidate.specs)
        which = " ".join(part for part in (candidate.name, candidate.said) if part)
        shown = []
        for finding in findings:
            finding = at_home(finding, self.declared.home)
            shown.append(
                dataclasses.replace(
                    finding,
                    message=f"{finding.message} (variant: {which})",
                    lines=(*finding.lines, "as a case of its own:", *("  " + p for p in paste)),
                    data={**finding.data, "variant": candidate.name, "case": "\n".join(paste)},
                )
            )
        return shown


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
