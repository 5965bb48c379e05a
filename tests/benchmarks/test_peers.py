"""The side-by-side run: faults are where they say, verdicts follow from what was said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from peers import models, ops, table, verdict  # noqa: E402
from peers.central_differences import complaints as by_central_differences  # noqa: E402
from peers.verdict import Complaint, Subject, measure  # noqa: E402

WITHOUT_A_LINE = {"zero_grad", "rate_low", "rate_high", "thawed", "mask_absent"}
HIDDEN = {  # what central differences at the declared input cannot see, and who is right anyway
    "sin_scaled",
    "layer_norm_eps_outside",
    "exp_changes_cotangent",
    "second_call",
    "max_to_every_tie",
    "raw_buffer",
    "norm_at_zero",
}


@pytest.mark.parametrize("fault", [*ops.FAULTS, *models.FAULTS], ids=lambda s: s.id)
def test_every_fault_has_its_line(fault):
    assert bool(verdict.marked_lines(fault.id)) == (fault.id not in WITHOUT_A_LINE)


@pytest.mark.parametrize("fault", ops.FAULTS, ids=lambda s: s.id)
def test_the_pullbacks_are_wrong_where_they_should_be(fault):
    found = by_central_differences(fault.fn, fault.arrays)
    assert bool(found) == (fault.id not in HIDDEN)


def test_ids_are_unique():
    every = [*ops.FAULTS, *ops.CORRECT, *models.FAULTS, *models.CORRECT]
    assert len({s.id for s in every}) == len(every)


FAULT = Subject("detached", "a fault", "model", words=("query.weight", "x["))
RIGHT = Subject("fine", "a correct thing", "model", correct=True)


def verdict_of(subject, complaints, usual=None, abilities=()):
    return measure(subject, lambda: complaints, abilities, usual)


def test_verdicts():
    hard, soft = Complaint("a", "something"), Complaint("b", "something", hard=False)
    assert verdict_of(FAULT, [hard]).verdict == "caught"
    assert verdict_of(FAULT, [soft]).verdict == "warned"
    assert verdict_of(FAULT, []).verdict == "missed"
    assert verdict_of(RIGHT, [hard]).verdict == "false alarm"
    assert verdict_of(RIGHT, []).verdict == "quiet"


def test_what_is_said_of_the_healthy_twin_does_not_count():
    hard, soft = Complaint("a", "something"), Complaint("a", "something", hard=False)
    assert verdict_of(FAULT, [hard], {"a": True}).verdict == "missed"
    assert verdict_of(FAULT, [soft], {"a": False}).verdict == "missed"
    assert verdict_of(FAULT, [hard], {"a": False}).verdict == "caught"  # it only warned before


def test_what_a_tool_cannot_be_given_is_not_run():
    needing = Subject("s", "s", "op", needs=frozenset({"strides"}))
    assert measure(needing, lambda: 1 / 0, ()).verdict == "not applicable"


def test_names_and_lines():
    (line,) = verdict.marked_lines("detached")
    number = int(line.partition(":")[2])
    assert verdict.named_in("nothing of use", FAULT) == ()
    assert verdict.named_in("query.weight gets none", FAULT) == ("name",)
    assert verdict.named_in("my_query.weight gets none", FAULT) == ()
    assert verdict.named_in("wrong at x[1, 2]", FAULT) == ("name",)
    assert verdict.named_in(f"cut at models.py:{number}", FAULT) == ("line",)
    assert verdict.named_in(f"cut at models.py:{number}0", FAULT) == ()


def test_a_peer_that_is_not_installed_says_so():
    absent = table.Contestant("nobody", "nobody", "no-such-distribution", "nobody")
    assert absent.version() is None
    text = table.markdown({"nobody": {"missing": "no"}}, [absent])
    assert text.count("not installed") > len(ops.FAULTS) + len(models.FAULTS)


def test_the_document_has_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text((ROOT / "docs" / "comparison.md").read_text(encoding="utf-8"))
    table.write(page, "measured")
    assert f"{table.BEGIN}\n\nmeasured\n\n{table.END}" in page.read_text(encoding="utf-8")
    page.write_text("no markers")
    with pytest.raises(SystemExit, match="lacks the lines"):
        table.write(page, "measured")


def test_unpaired_data_are_unpaired():
    right, wrong = models.Chars().batch(), models.Chars("unpaired").batch()
    assert (right[0][:, 1:] == right[1][:, :-1]).all()
    assert np.mean(wrong[0][:, 1:] == wrong[1][:, :-1]) < 0.5
