"""Which parameters should train and do not, why, and on which line the graph was cut."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.graph import findings as findings_of
from gradcheck.checks.graph.run import inspect_graph
from gradcheck.probe.subject import Subject
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case


class GraphOptions(Options):
    """Options of the check `graph`."""

    frozen: list[str] = Field(
        default=[],
        description="Parameters that are not intended to train: names or patterns (emb.*).",
    )
    allow: list[str] = Field(
        default=[],
        description="Intended cuts: 'file.py:12', 'file.py', or the name of the function "
        "or tensor as the line calls it.",
    )
    batch: int | None = Field(
        default=4,
        ge=1,
        description="Samples to run on; the graph does not depend on them, the time does. "
        "null: the case's batch.",
    )
    vanishing: float = Field(
        default=1e-3,
        gt=0,
        description="A gradient smaller than this share of the numeric slope counts as vanishing.",
    )
    max_dead: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="The share of units of one ReLU that may be zero on the whole batch.",
    )


class Graph:
    """Every parameter that should train gets a gradient; if not, the finding names the cut.

    The check finds what should train by walking over the model's attributes, lists, dicts and plain
    objects. A parameter without gradient is wrong when a finite difference says that the loss
    depends on it. Cuts (`Tensor(x.data)`, `detach`, `no_grad`, `item`) are traced to their line.
    """

    name = "graph"
    Options = GraphOptions

    def applies(self, case: Case) -> str | None:
        if case.model is not None and case.data is None:
            return "the case has no data"
        return None

    def run(self, subject: Subject, options: Any) -> Result:
        report = inspect_graph(subject, options)
        return findings_of.result(report)
