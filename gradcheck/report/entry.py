"""The entry of an item: what every report is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gradcheck.result import Finding, Json, Result, plain

SCHEMA_VERSION = 1

LAST = 1 << 53
"""The place of an item whose place in the order of collection is not known."""

Outcome = Literal["passed", "failed", "error", "skipped", "xfailed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

RELATIVE_ERROR_KEYS = ("worst_relative_error", "max_relative_error", "relative_error")
"""Measurements that say how far analytic and numeric are apart."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One item of a report; report.schema.json says what each field means.

    Most fields are known before the item runs. measurements, figures: JSON values. order: the place
    in the order of collection, which sorts a report and is not part of it.
    """

    nodeid: str
    file: str
    line: int | None = None
    case: str | None = None
    check: str | None = None
    subject: str | None = None
    framework: str | None = None
    outcome: Outcome = "passed"
    seconds: float = 0.0
    seed: int | None = None
    measurements: Mapping[str, Json] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Json] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reason: str | None = None
    text: str | None = None
    yaml: str = ""
    order: int = LAST

    @classmethod
    def at(cls, nodeid: str, **values: Any) -> Entry:
        """An entry whose file is the one in its node id."""
        return cls(nodeid=nodeid, file=nodeid.partition("::")[0], **values)

    def but(self, **changes: Any) -> Entry:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    def with_result(self, result: Result) -> Entry:
        return self.but(
            outcome=result.outcome,
            reason=result.reason,
            findings=result.findings,
            notes=result.notes,
            measurements=plain(result.measurements),
            figures=plain(result.figures),
        )

    @property
    def headline(self) -> str:
        """One sentence about a failed item, for pytest's short summary."""
        if self.reason:
            return self.reason
        if self.check is None and self.text:
            return self.text.splitlines()[0]
        return self.findings[0].message if self.findings else self.outcome

    @property
    def failed(self) -> bool:
        return self.outcome in ("failed", "error")

    @property
    def worst_relative_error(self) -> tuple[float, str | None] | None:
        """The largest relative error that an item met, and in which tensor; None without any."""
        best: tuple[float, str | None] | None = None
        for finding in self.findings:
            error = finding.relative_error
            if error is not None and (best is None or error > best[0]):
                best = (error, finding.parameter)
        if best is not None:
            return best
        for key in RELATIVE_ERROR_KEYS:
            error = as_float(self.measurements.get(key))
            if error is not None:
                where = self.measurements.get("worst_at") or self.measurements.get("worst")
                return error, where if isinstance(where, str) else None
        return None

    def to_json(self) -> dict[str, Json]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **values,
            "measurements": dict(self.measurements),
            "figures": dict(self.figures),
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Entry:
        return cls(
            **{
                **values,
                "findings": tuple(Finding.from_json(f) for f in values["findings"]),
                "notes": tuple(values["notes"]),
            }
        )


def as_float(value: Any) -> float | None:
    """A measurement as a float: NaN and infinities are kept in JSON by their names."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)) or value in ("nan", "inf", "-inf"):
        return float(value)
    return None
