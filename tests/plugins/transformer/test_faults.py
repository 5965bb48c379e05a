"""Every fault of a transformer is caught by the check that must see it, and by its finding."""

from __future__ import annotations

import pytest
from gradcheck.plugins.transformer.faults import FAULTS, REFERENCE_CASE, scale_missing
from gradcheck.plugins.transformer.faults import softmax_over_queries as over_queries

from gradcheck.names import load as plugins
from gradcheck.planted import Planting


@pytest.fixture(scope="module")
def planting() -> Planting:
    return Planting(plugins.load())


@pytest.mark.parametrize("name", [fault.__name__ for fault, *_ in FAULTS])
def test_fault_is_caught(planting: Planting, name: str) -> None:
    entry = planting.registry.get("fault", f"transformer_{name}")
    outcome = planting.run(entry)
    assert outcome.verdict == "caught", outcome.text


@pytest.mark.parametrize("fault", [scale_missing, over_queries])
def test_reference_sees_it_too(planting: Planting, fault: object) -> None:
    from gradcheck.names.registry import Entry

    entry = Entry(
        "fault",
        "again",
        fault,
        "tests",
        __file__,
        None,
        {"check": "reference", "finding": "output_differs", "case": REFERENCE_CASE},
    )
    assert planting.run(entry).verdict == "caught"


def test_the_detached_line_is_named(planting: Planting) -> None:
    result = planting.planted(planting.registry.get("fault", "transformer_attention_detached"))
    cut = next(f for f in result.findings if f.code == "cut")
    assert cut.where is not None
    assert "faults.py" in cut.where
