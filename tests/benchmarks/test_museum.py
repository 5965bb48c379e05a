"""The list of `benchmarks/museum.py` and its programs belong together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def exhibits():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from museum.exhibits import EXHIBITS
    finally:
        sys.path.remove(str(BENCHMARKS))
    return EXHIBITS


def test_every_exhibit_has_a_program_and_a_line_in_the_page():
    programs = {p.stem for p in (BENCHMARKS / "museum" / "programs").glob("*.py")}
    assert {e.name for e in exhibits()} == programs
    page = (BENCHMARKS.parent / "docs" / "museum.md").read_text(encoding="utf-8")
    for exhibit in exhibits():
        assert f"`{exhibit.op}`" in page
        assert all(pin.partition("==")[0] in page for pin in exhibit.shipped[:1])


@pytest.mark.slow
def test_an_exhibit_that_needs_no_package(tmp_path):
    pytest.importorskip("torch")
    report = tmp_path / "museum.json"
    command = [sys.executable, str(BENCHMARKS / "museum.py"), "torch_hardsigmoid", "--json"]
    run = subprocess.run([*command, str(report)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    (row,) = json.loads(report.read_text())
    assert row["shipped"]["outcome"] == "failed"
    assert row["right"]["outcome"] == "passed"
    assert row["shipped"]["torch"] == "passed"
