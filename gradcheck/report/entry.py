"""The JSON entry of an item: what every report is made of."""

from __future__ import annotations

from typing import Any

SCHEMA_VERSION = 1
PROPERTY = "gradcheck"
"""The name in `user_properties` under which an entry travels from the item to the reports."""

LAST = 1 << 53
"""The place of an item whose place in the order of collection is not known."""

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed")

RELATIVE_ERROR_KEYS = ("worst_relative_error", "max_relative_error", "relative_error")
"""Measurements that say how far analytic and numeric are apart."""


def new_entry(nodeid: str, **values: Any) -> dict[str, Any]:
    """An entry before its item ran. JSON values only; report.schema.json says what they mean."""
    return {
        "nodeid": nodeid,
        "order": LAST,
        "file": nodeid.partition("::")[0],
        "line": None,
        "case": None,
        "check": None,
        "subject": None,
        "framework": None,
        "outcome": "passed",
        "seconds": 0.0,
        "seed": None,
        "measurements": {},
        "findings": [],
        "figures": {},
        "notes": [],
        "reason": None,
        "text": None,
        "yaml": "",
        **values,
    }


def worst_relative_error(entry: dict[str, Any]) -> tuple[float, str | None] | None:
    """The largest relative error that an item met, and in which tensor; None without any."""
    best: tuple[float, str | None] | None = None
    for finding in entry["findings"]:
        error = number(finding.get("relative_error"))
        if error is not None and (best is None or error > best[0]):
            best = (error, finding.get("parameter"))
    if best is not None:
        return best
    measurements = entry["measurements"]
    for key in RELATIVE_ERROR_KEYS:
        error = number(measurements.get(key))
        if error is not None:
            where = measurements.get("worst_at") or measurements.get("worst")
            return error, where if isinstance(where, str) else None
    return None


def number(value: Any) -> float | None:
    """A measurement as a float: NaN and infinities are kept in JSON by their names."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return None


def headline(entry: dict[str, Any]) -> str:
    """One sentence about a failed item, for pytest's short summary."""
    if entry["reason"]:
        return str(entry["reason"])
    findings = entry["findings"]
    if entry["check"] is None and entry["text"]:
        return str(entry["text"]).splitlines()[0]
    return str(findings[0]["message"]) if findings else str(entry["outcome"])


def lost_entry(nodeid: str, said: str) -> dict[str, Any]:
    """The entry of an item whose process died while it ran."""
    _, case, check = [*nodeid.split("::"), None, None][:3]
    finding = {"code": "worker_lost", "message": said}
    return new_entry(
        nodeid, case=case, check=check, outcome="error", findings=[finding], text=said, order=LAST
    )


def stopped_entry(entry: dict[str, Any], report: Any) -> dict[str, Any]:
    """The entry of an item that was skipped by a mark or whose setup or teardown failed."""
    if report.outcome == "skipped":
        return {**entry, "outcome": "skipped", "reason": skip_reason(report)}
    text = str(report.longrepr)
    finding = {"code": "error", "message": f"{report.when} failed: {raised(text)}"}
    return {**entry, "outcome": "error", "findings": [*entry["findings"], finding], "text": text}


def raised(traceback: str) -> str:
    """The exception that pytest's traceback ends with."""
    lines = traceback.strip().splitlines() or [""]
    marked = [line[1:].strip() for line in lines if line.startswith("E   ")]
    return marked[-1] if marked else lines[-1]


def skip_reason(report: Any) -> str:
    longrepr = report.longrepr
    reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(reason).removeprefix("Skipped: ")


def junit_properties(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """What of an entry is worth a line in a junit file: the seed and the plain measurements."""
    found = [("gradcheck_outcome", entry["outcome"]), ("gradcheck_seed", str(entry["seed"]))]
    for name, value in entry["measurements"].items():
        if isinstance(value, (int, float, str)):
            found.append((f"gradcheck_{name}", str(value)))
    return found + [("gradcheck_finding", finding["code"]) for finding in entry["findings"]]
