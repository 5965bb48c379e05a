"""The reports of shards become those of one test, in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest

from gradcheck.in_pytest.gather import Gatherer, Gathering, shard_of
from gradcheck.report.entry import PROPERTY, new_entry

WHOLE = "cases/a.yaml::big::gradient"


def report(number: int, when: str, outcome: str = "passed", of: int = 2) -> pytest.TestReport:
    shard = {"number": number, "of": of}
    properties = [(PROPERTY, new_entry(WHOLE, case="big", check="gradient", shard=shard))]
    location = ("cases/a.yaml", 2, f"big::gradient::{number}of{of}")
    longrepr: Any = None if outcome == "passed" else "E   ValueError: no"
    return pytest.TestReport(
        f"{WHOLE}::{number}of{of}", location, {}, outcome, longrepr, when,
        user_properties=properties if when != "???" else (),
    )  # fmt: skip


def gathered(*reports: pytest.TestReport) -> tuple[list[str], list[Gathering]]:
    """(phase and outcome of each report as pytest sees it, what was put together)."""
    done: list[Gathering] = []

    def combine(gathering: Gathering) -> dict[str, Any]:
        done.append(gathering)
        lost = [e for e in gathering.ended.values() if e.error]
        outcome = "error" if lost else "passed"
        return new_entry(WHOLE, case="big", check="gradient", outcome=outcome, text="t")

    gatherer = Gatherer(combine, lambda entry: None, each_worker=False)
    for one in reports:
        found = shard_of(one.nodeid)
        assert found is not None
        gatherer.take(one, *found)
        assert (one.nodeid, one.location[2]) == (WHOLE, "big::gradient")
    return [f"{r.when} {r.outcome}" for r in reports], done


def test_one_after_the_other():
    seen, done = gathered(
        *(report(k, when) for k in (1, 2) for when in ("setup", "call", "teardown"))
    )
    assert seen == ["setup passed"] * 4 + ["call passed", "teardown passed"]
    assert len(done) == 1


def test_the_last_teardown_is_that_of_the_test():
    """Where another worker's shard is the last to report, but not the last to be torn down."""
    phases = [(1, "setup"), (1, "call"), (2, "setup"), (2, "call"), (2, "teardown")]
    seen, _ = gathered(*(report(*p) for p in phases), report(1, "teardown"))
    assert seen == ["setup passed"] * 3 + ["call passed", "setup passed", "teardown passed"]


@pytest.mark.parametrize("lost_first", [True, False])
def test_a_lost_worker_has_no_teardown(lost_first):
    lost = [report(1, "???", "failed")]
    other = [report(2, when) for when in ("setup", "call", "teardown")]
    seen, done = gathered(*lost, *other) if lost_first else gathered(*other, *lost)
    assert seen.count("call failed") == 1
    assert len(done) == 1
    assert set(seen) <= {"call failed", "setup passed", "teardown passed"}


def test_a_teardown_that_fails():
    """Before the verdict it is part of it; after it, it is an error of its own, as in any test."""
    first = [report(1, "setup"), report(1, "call"), report(1, "teardown", "failed")]
    seen, (done,) = gathered(*first, report(2, "setup"), report(2, "call"))
    assert seen[-1] == "call failed"
    assert done.ended[1].error
    calls = [report(k, "call") for k in (1, 2)]
    seen, _ = gathered(*calls, report(2, "teardown", "failed"), report(1, "teardown"))
    assert seen[2:] == ["teardown failed", "teardown passed"]


def test_what_is_no_shard():
    for nodeid in (WHOLE, f"{WHOLE}::3of2", "test_a.py::test_b", "a.py::B::test_c[1of2]"):
        assert shard_of(nodeid) is None
