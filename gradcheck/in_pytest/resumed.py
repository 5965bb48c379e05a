"""Going on with a run that did not end: what its report has is not run again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gradcheck import options
from gradcheck.in_pytest.base import GradcheckItem
from gradcheck.report import jsonfile
from gradcheck.report.entry import Entry


class Resumed:
    """kept: the results that are taken over, by node id, in the order of this run's collection."""

    def __init__(self, config: pytest.Config) -> None:
        self.kept: dict[str, Entry] = {}
        self.path: Path | None = None
        self._known: dict[str, Entry] = {}
        given = options.from_command_line(config, "resume")
        if given is None:
            return
        self.path = Path(config.invocation_params.dir, given)
        worker = getattr(config, "workerinput", None)
        if worker is not None:  # the controller may be replacing the file
            found = [Entry.from_json(values) for values in worker["gradcheck_resumed"]]
        else:
            try:
                found = jsonfile.read(self.path)
            except jsonfile.BadReport as error:
                raise pytest.UsageError(f"--gradcheck-resume: {error}") from None
        self._known = {entry.nodeid: entry for entry in found}

    def known(self) -> list[dict[str, object]]:
        """For the workers: enough of each entry to tell whether it still holds."""
        return [
            Entry.at(e.nodeid, seed=e.seed, yaml=e.yaml, check=e.check, outcome=e.outcome).to_json()
            for e in self._known.values()
        ]

    def leave_out(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Take the items out of the run whose results are there."""
        rest, there = [], []
        for item in items:
            found = self._known.get(item.nodeid)
            if found is not None and isinstance(item, GradcheckItem) and holds(found, item):
                self.kept[item.nodeid] = found.but(order=item.order)
                there.append(item)
            else:
                rest.append(item)
        if there:
            config.hook.pytest_deselected(items=there)
            items[:] = rest

    def take(self, orders: dict[str, int]) -> None:
        """In xdist's controller: what the workers left out, and its place in the collection."""
        for nodeid, order in orders.items():
            if nodeid in self._known:
                self.kept[nodeid] = self._known[nodeid].but(order=order)

    def all_known(self) -> Sequence[Entry]:
        return tuple(self._known.values())

    def line(self) -> str | None:
        """What the summary says about it."""
        if self.path is None:
            return None
        return f"resumed: {len(self.kept)} results are taken from {self.path}"


def holds(entry: Entry, item: GradcheckItem) -> bool:
    """Whether a result is of the case as it is now. A file of errors, and a check that stopped in
    an error, run again."""
    now = item.new_entry()
    same = (entry.yaml, entry.seed, entry.check) == (now.yaml, now.seed, now.check)
    return same and entry.check is not None and entry.outcome != "error"
