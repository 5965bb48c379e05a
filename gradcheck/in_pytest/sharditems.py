"""One shard of a check as an item: `cases/gpt.yaml::large::gradient::2of4`.

It runs its part and judges nothing: the entry that travels with its report holds what it saw, and
`gather.py` puts the shards together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.in_pytest.items import CaseItem
from gradcheck.report.entry import new_entry
from gradcheck.shards import Shard

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry
    from gradcheck.result import Result
    from gradcheck.together import Outcome
    from gradcheck.yamlcases.case import Case


class ShardedCheck(pytest.Collector):
    """A check of a case that runs in shards: as many items."""

    def __init__(self, *, case: Case, registry: Registry, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case, self.registry, self.count = case, registry, count

    def collect(self) -> Iterator[pytest.Item]:
        for shard in Shard.all(self.count):
            yield ShardItem.from_parent(
                self,
                name=shard.name,
                case=self.case,
                registry=self.registry,
                check=self.name,
                shard=shard,
            )


class ShardItem(CaseItem):
    """A part of one check of one case."""

    def __init__(self, *, shard: Shard, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self.whole = self.nodeid.rpartition("::")[0]

    def start_entry(self) -> None:
        super().start_entry()
        self.session_of_checks.registries[self.whole] = self.registry

    def new_entry(self) -> dict[str, Any]:
        """Of the whole check, and under `shard` what the verdict over all shards needs."""
        from gradcheck.result import plain

        shard = {
            "number": self.shard.number,
            "of": self.shard.of,
            "rerun": self.rerun,
            "options": plain(self.case.checks[self.check]),
            "xfail": [x.model_dump() for x in self.case.xfail],
            "part": None,
            "finding": None,
        }
        return new_entry(self.whole, order=self.order, shard=shard, **self.known())

    def cost(self, measured: float | None) -> float:
        return super().cost(None) / self.shard.of if measured is None else measured

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int, str]:
        path, line, title = super().reportinfo()
        return path, line, f"{title}::{self.shard.name}"

    def runtest(self) -> None:
        started = time.perf_counter()
        try:
            outcome = self.run_shard()
        finally:
            self.entry["seconds"] = time.perf_counter() - started
        told = self.entry["shard"]
        told["part"] = outcome.part
        told["finding"] = None if outcome.finding is None else outcome.finding.to_json()
        hook = self.ihook.pytest_gradcheck_result
        if hook.get_hookimpls():
            hook(item=self, case=self.case, check=self.check, result=self.alone(outcome))

    def run_shard(self) -> Outcome:
        from gradcheck.engine import run_shard
        from gradcheck.result import Finding
        from gradcheck.together import Outcome

        found = self.in_time(
            lambda: run_shard(self.case, self.check, self.registry, self.shard, seed=self.seed)
        )
        return Outcome(self.shard, finding=found) if isinstance(found, Finding) else found

    def alone(self, outcome: Outcome) -> Result:
        """What this shard found by itself."""
        from gradcheck.engine import merge_shards

        check = self.registry.get("check", self.check).value
        return merge_shards(check, self.case.checks[self.check], [outcome])

    def teardown(self) -> None:
        # The report of the call has it; those that follow need not carry it once more.
        self.entry = {**self.entry, "shard": {**self.entry["shard"], "part": None}}
        self.user_properties[:] = [
            (name, self.entry if isinstance(value, dict) else value)
            for name, value in self.user_properties
        ]
