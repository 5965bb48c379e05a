"""Which parameters should train and do not, why, and on which line the graph was cut."""

from __future__ import annotations

from typing import Any

from gradcheck.checks.graph import findings as findings_of
from gradcheck.checks.graph.options import GraphOptions
from gradcheck.checks.graph.run import inspect_graph
from gradcheck.probe.subject import Subject
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case


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
