"""Every planted fault is caught by its check, with its finding, at its place; and its case passes
without it."""

from collections import Counter
from pathlib import Path

import pytest

from gradcheck import plugins
from gradcheck.planted import Planting

ROOT = Path(__file__).parents[2]
REGISTRY = plugins.load([ROOT / "plugins"])
FAULTS = [e for e in REGISTRY.entries("fault") if e.plugin == "faults"]


@pytest.fixture(scope="module")
def planting():
    return Planting(REGISTRY)


def test_the_catalogue_is_large_and_reaches_every_kind_of_check():
    assert len(FAULTS) >= 200
    checks = Counter(e.extra["check"] for e in FAULTS)
    assert {
        "gradient",
        "graph",
        "overfit",
        "updates",
        "init",
        "alignment",
        "loader",
        "causality",
        "batch_independence",
        "determinism",
        "accumulation",
    } <= set(checks)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda e: e.name)
def test_caught_and_named(planting, fault):
    outcome = planting.run(fault)
    assert outcome.verdict == "caught", outcome.text


@pytest.mark.parametrize("name", ["times_1.0001", "mask_off_by_one", "zero_grad_missing"])
def test_a_fault_is_taken_out_again(planting, name):
    fault = REGISTRY.get("fault", name)
    assert planting.planted(fault).outcome == "failed"
    fresh = Planting(REGISTRY)
    assert fresh.healthy(fault).outcome == "passed"
