"""What the options declare as meant, beside what the run showed of it."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.frameworks.protocol import HoldsStops
from gradcheck.numerics.examine import Settings, examine
from gradcheck.numerics.telling.conclude import Examination
from gradcheck.probe.stops import Stops
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

SHOWN = 3
"""Lines that a sentence names."""


def examine_declared(
    subject: Subject, options: GradientOptions, settings: Settings | None = None
) -> Examination:
    """The examination at the declared point. A declaration that meets nothing is a finding."""
    if options.stop and not isinstance(subject.framework, HoldsStops):
        return Examination(findings=[_no_stops(subject)])
    done = examine(subject, options.settings() if settings is None else settings)
    if done.point is not None and subject.stops is not None:
        done.findings = [*_missed(subject.stops), *done.findings]
        done.notes += _held(subject.stops)
    return done


def _missed(stops: Stops) -> Iterator[Finding]:
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


def _no_stops(subject: Subject) -> Finding:
    return Finding(
        code="stop_not_met",
        message=f"`stop` is declared, and the adapter of {subject.framework.name} cannot hold "
        "values",
        advice="give the adapter the method `holding` (docs/frameworks.md), or leave `stop` out",
    )
