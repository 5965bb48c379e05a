"""Comparing a run with an earlier report: what got worse?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gradcheck.report.entry import Entry

GROWTH = 10.0
"""A relative error that grew by more than this factor is worse ..."""

NOISE = {"float64": 1e-9, "float32": 1e-4}
"""... unless it is still below what rounding makes of a right gradient."""

GOOD = ("passed", "xfailed")
MOST_VANISHED = 10


@dataclass(frozen=True)
class Changes:
    """What changed since the baseline, as sentences. worse: what fails the run. vanished: what only
    the baseline has."""

    worse: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For the terminal; at most `MOST_VANISHED` of the vanished ones."""
        lines = [f"worse than the baseline: {sentence}" for sentence in self.worse]
        lines += [f"in the baseline, not in this run: {n}" for n in self.vanished[:MOST_VANISHED]]
        if len(self.vanished) > MOST_VANISHED:
            lines.append(f"... and {len(self.vanished) - MOST_VANISHED} more")
        return lines or ["nothing is worse than the baseline"]


def compare(baseline: Sequence[Entry], entries: Sequence[Entry]) -> Changes:
    """baseline: the entries of an earlier report. entries: those of this run."""
    before = {entry.nodeid: entry for entry in baseline}
    now = {entry.nodeid for entry in entries}
    worse = []
    for entry in entries:
        old = before.get(entry.nodeid)
        sentence = None if old is None else worsened(old, entry)
        if sentence is not None:
            worse.append(f"{entry.nodeid} {sentence}")
    return Changes(worse, [nodeid for nodeid in before if nodeid not in now])


def worsened(old: Entry, new: Entry) -> str | None:
    """What got worse between two entries of the same item, or None."""
    if old.outcome in GOOD and new.failed:
        return f"was {old.outcome}, now {new.outcome}"
    if old.outcome in GOOD and new.outcome == "skipped":
        return f"was {old.outcome}, now skipped: {new.reason}"
    if old.outcome != "passed" or new.outcome != "passed":
        return None
    error_before, error_now = old.worst_relative_error, new.worst_relative_error
    if error_before is None or error_now is None:
        return None
    if error_now[0] > GROWTH * error_before[0] and error_now[0] > noise(new):
        return f"has a relative error of {error_now[0]:.1e}, it was {error_before[0]:.1e}"
    return None


def noise(entry: Entry) -> float:
    """The relative error that rounding alone may make in the dtype that was checked."""
    dtype = str(entry.measurements.get("dtype", "float64"))
    return NOISE.get(dtype, NOISE["float64"])
