"""What the graph check knows after it has looked: the states of the parameters, and the cuts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gradcheck.checks.graph.units import DeadUnits, Saturated
from gradcheck.frameworks.protocol import Cut
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding


@dataclass
class State:
    """What is known of one parameter.

    analytic: norm of its gradient; None where it has none. numeric: slope of the loss along a
    random direction; None where it was not measured. status: one of `ok`, `true zero`, `frozen`,
    `never reached`, `zero`, `vanishing`, `not finite`, `dead units`, `no effect`, `not trainable`.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool
    status: str = "ok"
    analytic: float | None = None
    numeric: float | None = None
    made_at: str | None = None
    frozen_at: str | None = None


@dataclass
class GraphReport:
    """Everything that the findings are made of."""

    subject: Subject
    states: dict[str, State]
    loss: float
    cuts: list[Cut] = field(default_factory=list)
    partial: list[Cut] = field(default_factory=list)
    slopes: list[tuple[float, float]] = field(default_factory=list)
    allowed: list[Cut] = field(default_factory=list)
    tape: list[Any] = field(default_factory=list)
    dead: list[DeadUnits] = field(default_factory=list)
    saturated: list[Saturated] = field(default_factory=list)
    stretched: Finding | None = None
    idle_inputs: list[Finding] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    late: dict[str, str | None] = field(default_factory=dict)  # name -> the line that made it
    not_leaves: dict[str, str] = field(default_factory=dict)
    backward_error: str | None = None
    notes: list[str] = field(default_factory=list)

    def named(self, *statuses: str) -> list[str]:
        return [s.name for s in self.states.values() if s.status in statuses]
