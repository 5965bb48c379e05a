"""A watched script as entries of a report, so that JSON and HTML are those of every other run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradcheck.report.entry import Entry
from gradcheck.result import Result
from gradcheck.watch.run import CHECKS, Seen, Wanted
from gradcheck.watch.text import finding_lines


def entries_of(seen: Seen, wanted: Wanted) -> list[Entry]:
    """One entry for each question: data, graph, gradient, updates, rate."""
    return [_entry(seen, wanted, check) for check in CHECKS if check in wanted.checks]


def _entry(seen: Seen, wanted: Wanted, check: str) -> Entry:
    findings = tuple(f for f in seen.findings if f.data.get("check") == check)
    optimizers = seen.facts.get("optimizers") or [{}]
    models = [name for o in optimizers for name in o.get("roots", {}).values()]
    entry = Entry.at(
        f"{wanted.script}::watch::{check}",
        case=Path(wanted.script).stem,
        check=check,
        subject=", ".join(dict.fromkeys(models)) or None,
        framework=optimizers[0].get("framework"),
    )
    reason = _reason(seen, check)
    lines = [line for f in findings for line in finding_lines(f, wanted.script, True)]
    result = Result(
        findings=findings,
        measurements=_measurements(seen, check),
        figures=_figures(seen, check),
        reason=None if findings else reason,
    )
    return entry.with_result(result).but(text="\n".join(lines) or None)


def _reason(seen: Seen, check: str) -> str | None:
    """Why a question stays open."""
    if not seen.could:
        return seen.problem
    if check == "rate" and seen.verdict is None:
        return next((n for n in seen.notes if "rate was not judged" in n), "not asked")
    if check == "gradient" and not seen.facts.get("proof", {}).get("calls"):
        return "no op of this framework can be run again, and no backward was written by hand"
    return None


def _measurements(seen: Seen, check: str) -> dict[str, Any]:
    if check == "rate" and seen.verdict is not None:
        return {"rate": seen.verdict.rate, "best": seen.verdict.best}
    if check == "gradient":
        return dict(seen.facts.get("proof", {}))
    if check == "graph":
        optimizers = seen.facts.get("optimizers", ())
        return {
            "parameters": sum(len(o["names"]) for o in optimizers),
            "without_gradient": sum(len(o["missing"]) for o in optimizers),
        }
    return {"steps": seen.facts.get("steps", 0)}


def _figures(seen: Seen, check: str) -> dict[str, Any]:
    if check != "rate" or seen.verdict is None:
        return {}
    runs = sorted(seen.verdict.runs, key=lambda r: r.rate)
    own = next((r for r in runs if r.rate == seen.verdict.rate), None)
    figures: dict[str, Any] = {
        "lr_sweep": {
            "lr": [r.rate for r in runs],
            "final": [r.last for r in runs],
            "first": seen.verdict.first,
        }
    }
    if own is not None:
        losses = list(own.losses)
        figures["loss_curve"] = {"steps": list(range(len(losses))), "loss": losses}
    return figures
