"""What a check found: plain JSON values, so that they cross processes and files unchanged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Json = Any  # None, bool, int, float, str, list or dict of the same
Outcome = Literal["passed", "failed", "skipped"]

LONGEST_REPR = 180
"""pytest cuts the middle out of what is longer than 240 characters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    code: a stable word for programs and `xfail` (`wrong_gradient`, `cut`, `disconnected`, ...).
    message: one sentence for people: what, where, by how much.
    parameter, index: the tensor and its entry. op, where: the op and the user's line, 'file:line'.
    analytic, numeric: the two values that should agree; relative_error: |a - n| over their scale.
    lines: supporting lines, in order, already worded. advice: one sentence on what to try.
    data: anything else a report can use, JSON values only.
    """

    code: str
    message: str
    parameter: str | None = None
    index: tuple[int, ...] | None = None
    op: str | None = None
    where: str | None = None
    analytic: float | None = None
    numeric: float | None = None
    relative_error: float | None = None
    lines: tuple[str, ...] = ()
    advice: str | None = None
    data: Mapping[str, Json] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        values: dict[str, Json] = plain(dataclasses.asdict(self))
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Finding:
        index = values.get("index")
        figures = {k: values.get(k) for k in ("analytic", "numeric", "relative_error")}
        return cls(
            **{
                **values,
                # NaN and infinity travel by their names
                **{k: None if v is None else float(v) for k, v in figures.items()},
                "index": None if index is None else tuple(index),
                "lines": tuple(values.get("lines") or ()),
            }
        )


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """The verdict of one check on one subject.

    outcome: 'failed' exactly when there are findings. reason: why it was skipped.
    measurements: figures by name (JSON values), shown with -v and kept in the JSON report.
    figures: data that a report draws (`loss_curve`, `lr_sweep`, `heatmap`, `graph`, ...).
    notes: sentences that qualify a pass ('float32: errors below 3e-4 cannot be seen').
    title: what was checked, for people ('square::gradient'); '' inside a run, whose entries know.

    A result is true only when it passed, `str` gives the text of a failure, and a notebook shows it
    as a small page.
    """

    findings: tuple[Finding, ...] = ()
    measurements: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    figures: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reason: str | None = None
    title: str = ""

    @property
    def outcome(self) -> Outcome:
        if self.reason is not None:
            return "skipped"
        return "failed" if self.findings else "passed"

    def __bool__(self) -> bool:
        return self.outcome == "passed"

    def __str__(self) -> str:
        from gradcheck.report.text import result_text

        return result_text(self)

    def __repr__(self) -> str:
        """On one line, short enough that pytest never cuts it."""
        said = self.reason or "; ".join(f.message for f in self.findings)
        text = ": ".join(part for part in (self.title, " ".join(said.split())) if part)
        more = text if len(text) <= LONGEST_REPR else text[:LONGEST_REPR] + "..."
        return f"<Result {self.outcome}{': ' if more else ''}{more}>"

    def _repr_html_(self) -> str:
        """What Jupyter shows for a result that ends a cell."""
        from gradcheck.report.notebook import result_html

        return result_html(self)

    @classmethod
    def skipped(cls, reason: str) -> Result:
        return cls(reason=reason)

    def to_json(self) -> dict[str, Json]:
        return {
            "outcome": self.outcome,
            "findings": [f.to_json() for f in self.findings],
            "measurements": plain(self.measurements),
            "figures": plain(self.figures),
            "notes": list(self.notes),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Result:
        return cls(
            findings=tuple(Finding.from_json(f) for f in values["findings"]),
            measurements=values["measurements"],
            figures=values["figures"],
            notes=tuple(values["notes"]),
            reason=values["reason"],
        )


def each_once(values: Iterable[T]) -> list[T]:
    """Without what equals an earlier one."""
    kept: list[T] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def plain(value: Any) -> Json:
    """`value` as JSON values: numpy numbers and arrays become Python's, NaN and inf their names."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy, without importing it
        return plain(value.tolist())
    raise TypeError(
        f"{type(value).__name__} is not a JSON value; put numbers, text, lists or dicts"
    )
