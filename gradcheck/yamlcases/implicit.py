"""Cases that nobody wrote: an op registered with sample inputs is checked without a case file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from gradcheck.names.registry import Entry, Registry
from gradcheck.source.line import Line
from gradcheck.yamlcases.case import Case, InputSpec, Place

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
        inputs=input_specs(entry.extra["inputs"]),
    )


def input_specs(inputs: Any) -> dict[str, InputSpec]:
    """`inputs` of `register`, as in a YAML case: name -> shape, or a dict of an `InputSpec`.

    Raises ValueError with a clause that says what is wrong.
    """
    if not isinstance(inputs, Mapping) or not inputs:
        raise ValueError("inputs must be a dict of name -> shape, such as {'x': [2, 3]}")
    return {name: _spec(name, spec) for name, spec in inputs.items()}


def _spec(name: str, spec: Any) -> InputSpec:
    if isinstance(spec, (list, tuple)):
        spec = {"shape": spec}
    if not isinstance(spec, Mapping):
        raise ValueError(
            f"input {name!r} must be a shape such as [2, 3] or a dict such as "
            f"{{'shape': [2, 3], 'low': 0.5}}, got {spec!r}"
        )
    fields = dict(spec)
    if isinstance(fields.get("shape"), list):
        fields["shape"] = tuple(fields["shape"])
    try:
        return InputSpec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(p) for p in first["loc"])
        raise ValueError(f"input {name!r}: {at}: {first['msg']}") from None
    except TypeError as error:
        raise ValueError(f"input {name!r}: {error}") from None
