"""Implicit cases: an op registered with sample inputs is checked without a case file."""

from __future__ import annotations

from typing import Any

from gradcheck.names.registry import Entry, Registry
from gradcheck.source.line import Line
from gradcheck.yamlcases.case import Case, Place

CHECKS: dict[str, dict[str, Any]] = {"gradient": {}}
"""What an implicit case runs."""


def implicit_cases(registry: Registry) -> list[Case]:
    """One case for each op that was registered with `inputs=`, in the order of registration."""
    cases = [_case(e) for e in registry.entries("op") if "inputs" in e.extra]
    known = registry.names("check")
    return [
        c.model_copy(update={"checks": {k: v for k, v in CHECKS.items() if k in known}})
        for c in cases
    ]


def _case(entry: Entry) -> Case:
    at = Line.parse(entry.where)
    return Case(
        name=entry.name,
        place=Place(file=at.file, line=at.line) if at else Place(file="", line=0),
        framework=entry.framework or "tinytorch",
        op=entry.name,
        args=dict(entry.extra.get("args") or {}),
        inputs=dict(entry.extra["inputs"]),
    )
