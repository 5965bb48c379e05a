"""What the options declare as meant, beside what the run showed of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.frameworks.protocol import HoldsStops, ReplacesResults
from gradcheck.numerics.examine import Settings, examine
from gradcheck.numerics.telling.conclude import Examination
from gradcheck.probe.stops import Stops
from gradcheck.probe.subject import Subject, SubjectError
from gradcheck.probe.surrogates import IDENTITY, Surrogate, SurrogateError, Surrogates
from gradcheck.result import Finding

SHOWN = 3
"""Lines that a sentence names."""
SHOWN_OPS = 12
"""Ops that a sentence names."""


def examine_declared(
    subject: Subject, options: GradientOptions, settings: Settings | None = None
) -> Examination:
    """The examination at the declared point. A declaration that meets nothing is a finding."""
    settings = options.settings() if settings is None else settings
    for option, asked, capability in (
        ("stop", settings.stop, HoldsStops),
        ("surrogate", options.surrogate, ReplacesResults),
    ):
        if asked and not isinstance(subject.framework, capability):
            return Examination(findings=[_not_supported(subject, option)])
    try:
        meant = surrogates(subject, options)
        done = examine(subject, dataclasses.replace(settings, surrogate=meant))
    except SurrogateError as error:
        return Examination(findings=[_unusable(error)])
    if done.point is None:
        return done
    if subject.stops is not None:
        done.findings = [*_missed_stops(subject.stops), *done.findings]
        done.notes += _held(subject.stops)
    if subject.surrogates is not None:
        told = [_against(finding, subject.surrogates) for finding in done.findings]
        done.findings = [*_missed_surrogates(subject.surrogates), *told]
        done.notes += _meant(subject.surrogates)
    return done


def surrogates(subject: Subject, options: GradientOptions) -> dict[str, Surrogate]:
    """By name of the op what its backward is meant to be. Raises SurrogateError."""
    found = {}
    for name, spec in options.surrogate.items():
        formula, said = spec.formula, str(spec.formula)
        if formula == IDENTITY:
            formula = _first
        elif isinstance(formula, str):
            try:
                formula = subject.formula(formula)
            except SubjectError as error:
                raise SurrogateError(str(error)) from None
        elif formula is not None:
            said = getattr(formula, "__name__", "a function")
        scaled = "" if spec.scale == 1.0 else f"{spec.scale:g} times "
        said = f"{scaled}the gradient of {'itself' if formula is None else f'`{said}`'}"
        found[name or subject.name] = Surrogate(formula, spec.args, spec.scale, spec.verified, said)
    return found


def _first(x: Any, *others: Any) -> Any:
    return x


def _missed_stops(stops: Stops) -> Iterator[Finding]:
    for wanted in stops.missed():
        near = stops.suggestion(wanted)
        known = [str(exit) for exit in stops.exits.values()]
        seen = f"values leave the graph at {known[0]}" if known else "no value leaves the graph"
        yield Finding(
            code="stop_not_met",
            message=f"stop: {wanted} is declared, and no value leaves the graph there",
            lines=tuple(f"values leave the graph at {k}" for k in known[:SHOWN]),
            advice=f"did you mean {near}?" if near else f"correct or remove it; here {seen}",
            data={"stop": wanted},
        )


def _held(stops: Stops) -> list[str]:
    return [f"held, as `stop` declares: {exit}" for exit in stops.held()]


def _missed_surrogates(meant: Surrogates) -> Iterator[Finding]:
    for wanted in meant.missed():
        near = meant.suggestion(wanted)
        known = ", ".join(list(meant.seen)[:SHOWN_OPS]) or "none"
        yield Finding(
            code="surrogate_not_met",
            message=f"surrogate: {wanted} is declared, and no op of that name or place is called",
            lines=(f"ops that were met: {known}",),
            advice=f"did you mean {near}?" if near else "correct or remove it",
            data={"surrogate": wanted},
        )


def _meant(meant: Surrogates) -> list[str]:
    notes = []
    for name, surrogate in meant.declared.items():
        if name not in meant.met:
            continue
        notes.append(
            f"{name}: its backward is meant to be {surrogate.said}, as `surrogate` declares"
            if surrogate.verified
            else f"{name}: its backward was taken as it is, as `surrogate` declares; only its laws "
            "were checked"
        )
    return notes


def _against(finding: Finding, meant: Surrogates) -> Finding:
    """Say what the backward of an op was compared with."""
    surrogate = meant.declared.get(finding.op or "")
    if surrogate is None or finding.code not in ("wrong_gradient", "missing_gradient"):
        return finding
    line = f"compared with {surrogate.said}, as `surrogate` declares"
    return dataclasses.replace(finding, lines=(*finding.lines, line))


def _unusable(error: SurrogateError) -> Finding:
    return Finding(
        code="surrogate_unusable",
        message=str(error),
        advice="a formula takes the arrays that the op takes, and gives a result of the same shape",
    )


def _not_supported(subject: Subject, option: str) -> Finding:
    method = {"stop": "holding", "surrogate": "replacing"}[option]
    return Finding(
        code=f"{option}_not_met",
        message=f"`{option}` is declared, and the adapter of {subject.framework.name} has no "
        f"method `{method}`",
        advice=f"add it to the adapter (docs/frameworks.md), or leave `{option}` out",
    )
