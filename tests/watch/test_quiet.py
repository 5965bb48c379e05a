"""Healthy scripts that do on purpose what looks like a fault: stop-gradients, a teacher, a masked
language model, unused layers, two optimizers, surrogate gradients. Nothing is found in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SCRIPTS = sorted((Path(__file__).parent / "quiet").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[p.stem for p in SCRIPTS])
def test_nothing_is_found(script, tmp_path):
    pytest.importorskip("torch")
    shutil.copy(script, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", "watch", script.name],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{script.name}  nothing found; looked at " in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == [script.name]
