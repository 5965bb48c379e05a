"""A share of `benchmarks/truth.py`: programs by others, where an alarm must be deserved."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "share"),
    [
        ("opinfo", "3/24"),
        ("layers", "1/4"),
        ("programs", "2/15"),
        ("models", "1/6"),
        ("solvers", "1/6"),
    ],
)
def test_no_alarm_on_what_pytorch_ships(part, share, tmp_path):
    pytest.importorskip("torch")
    if part == "opinfo":
        pytest.importorskip("expecttest", reason="PyTorch's test data needs it")
    report = tmp_path / "truth.json"
    command = [sys.executable, "benchmarks/truth.py", "--only", part, "--share", share]
    command += ["--samples", "1", "--seeds", "1", "--program-seeds", "1"]
    command += ["--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    got = json.loads(report.read_text("utf-8"))[part]
    assert "missing" not in got, got
    assert got["runs"] > 8
    assert not got["alarms"], done.stdout
    assert not got["deaths"]
