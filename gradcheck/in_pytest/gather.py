"""The shards of a check as their reports come in, until they make one report.

Every report of a shard is turned into one of the whole check. All but the last become a setup that
passed, which pytest counts as nothing; the call of the last one carries the verdict. So to pytest
and its plugins the shards look like one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradcheck.report import entry as entries
from gradcheck.report.combine import Ended
from gradcheck.report.text import Failure
from gradcheck.shards import Shard

if TYPE_CHECKING:
    import pytest

Entry = dict[str, Any]
LAST_FAILED = "cache/lastfailed"


def shard_of(nodeid: str) -> tuple[str, Shard] | None:
    """('cases/a.yaml::big::gradient', shard 2 of 4) of '...::gradient::2of4', else None."""
    whole, _, name = nodeid.rpartition("::")
    shard = Shard.named(name) if whole.count("::") == 2 else None
    return None if shard is None else (whole, shard)


@dataclass
class Gathering:
    """The shards of one check. wanted: those that are to run. closing: those whose teardown is
    still to come. entry: the verdict, once it is there."""

    whole: str
    of: int
    wanted: set[int]
    ended: dict[int, Ended] = field(default_factory=dict)
    closing: set[int] = field(default_factory=set)
    entry: Entry | None = None
    node: Any = None
    location: tuple[str, int | None, str] = ("", None, "")
    sections: list[tuple[str, str]] = field(default_factory=list)

    @property
    def missing(self) -> set[int]:
        return self.wanted - set(self.ended)


class Gatherer:
    """All checks in shards of a run.

    combine: makes the entry of a check of its shards (see `combined`). receive: takes it.
    each_worker: xdist's `--dist each`, where every worker runs every shard.
    """

    def __init__(
        self,
        combine: Callable[[Gathering], Entry],
        receive: Callable[[Entry], None],
        *,
        each_worker: bool,
    ) -> None:
        self.combine, self.receive, self.each_worker = combine, receive, each_worker
        self.wanted: dict[str, set[int]] = {}
        self.seconds: dict[str, float] = {}
        """By the node id of a shard: for dealing the next time."""
        self.silent = 0
        """Reports of calls that stand for nothing: pytest waits for as many tests fewer."""
        self._open: dict[tuple[str, Any], Gathering] = {}

    def expect(self, nodeids: Iterable[str]) -> None:
        """The items that are to run."""
        for nodeid in nodeids:
            found = shard_of(nodeid)
            if found is not None:
                self.wanted.setdefault(found[0], set()).add(found[1].number)

    def take(self, report: pytest.TestReport, whole: str, shard: Shard) -> None:
        """Change the report of a shard in place."""
        gathering = self._gathering(report, whole, shard)
        phase, failed = str(report.when), report.outcome == "failed"
        ended = self._ended(report, shard)
        _as_whole(report, gathering)
        if phase == "teardown":
            gathering.closing.discard(shard.number)
            if gathering.entry is None and ended is not None:
                gathering.ended[shard.number] = ended
            if gathering.entry is None or (gathering.closing and not failed):
                _hush(report)
            else:
                report.user_properties[:] = entries.junit_properties(gathering.entry)
            return
        if ended is None:
            _hush(report)
            return
        gathering.ended[shard.number] = ended
        if ended.entry is not None:
            gathering.closing.add(shard.number)
        if gathering.missing or gathering.entry is not None:
            _hush(report)
            self.silent += 1
        else:
            self._conclude(report, gathering)

    def _gathering(self, report: Any, whole: str, shard: Shard) -> Gathering:
        key = (whole, getattr(report, "node", None) if self.each_worker else None)
        if key not in self._open:
            everything = set(range(1, shard.of + 1))
            self._open[key] = Gathering(whole, shard.of, self.wanted.get(whole, everything))
        return self._open[key]

    def _ended(self, report: pytest.TestReport, shard: Shard) -> Ended | None:
        """How the shard ended, when this report says it."""
        entry: Any = dict(report.user_properties).get(entries.PROPERTY)
        if report.when == "call" and entry is not None:
            self.seconds[report.nodeid] = entry["seconds"]
        if report.outcome == "skipped":
            return Ended(shard.number, entry, skipped=entries.skip_reason(report))
        if report.outcome == "failed":
            return Ended(shard.number, entry, error=str(report.longrepr), when=str(report.when))
        return Ended(shard.number, entry) if report.when == "call" else None

    def _conclude(self, report: Any, gathering: Gathering) -> None:
        entry = gathering.entry = self.combine(gathering)
        report.when, report.duration = "call", entry["seconds"]
        report.sections = gathering.sections
        set_outcome(report, entry)
        self.receive(entry)

    def conclude_unfinished(self, gathering: Gathering) -> pytest.TestReport:
        """A report of its own, since there is no last shard to carry the verdict."""
        import pytest

        report = pytest.TestReport(
            gathering.whole, gathering.location, {}, "failed", None, "call", duration=0.0
        )
        if gathering.node is not None:
            report.node = gathering.node  # type: ignore[attr-defined]
        self._conclude(report, gathering)
        report.user_properties[:] = entries.junit_properties(gathering.entry or {})
        return report

    def forget_shards(self, cache: Any) -> None:
        """Of a failed check pytest keeps the id of the whole, and for --lf turns it into the shards
        when it collects them. Those of checks that are now judged would stay for ever."""
        kept = {} if cache is None else cache.get(LAST_FAILED, {})
        judged = {g.whole for g in self._open.values()}
        left = {n: v for n, v in kept.items() if (shard_of(n) or ("",))[0] not in judged}
        if left != kept:
            cache.set(LAST_FAILED, left)

    def unfinished(self) -> list[Gathering]:
        """Checks of which only some shards ran, though all were to."""
        return [g for g in self._open.values() if g.entry is None]


def _as_whole(report: Any, gathering: Gathering) -> None:
    path, line, title = report.location
    if line is not None:  # xdist's report of a lost worker has none
        gathering.location = (path, line, title.rpartition("::")[0])
    report.nodeid, report.location = gathering.whole, gathering.location
    report.user_properties = []
    if hasattr(report, "node"):  # junit keeps the tests of different workers apart
        gathering.node = gathering.node or report.node
        report.node = gathering.node
    gathering.sections += [s for s in report.sections if s not in gathering.sections]


def _hush(report: Any) -> None:
    """pytest counts and shows no setup that passed."""
    report.when, report.outcome, report.longrepr = "setup", "passed", None
    report.sections, report.duration = [], 0.0


def set_outcome(report: Any, entry: Entry) -> None:
    """Give a report the outcome of an entry, as pytest itself would."""
    reason = str(entry["reason"] or "")
    report.outcome, report.longrepr = "passed", None
    if entry["outcome"] == "xfailed":
        report.outcome, report.wasxfail, report.longrepr = "skipped", f"reason: {reason}", reason
    elif entry["outcome"] == "skipped":
        path, line, _ = report.location
        report.outcome = "skipped"
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {reason}")
    elif entry["outcome"] in ("failed", "error"):
        report.outcome = "failed"
        report.longrepr = Failure(entry["text"], entries.headline(entry))
