"""A fault written into a file of a copied tree, found by the command of the README."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path):
    for name in ("gradcheck", "tinytorch", "plugins", "cases"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.npz.tmp")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def change(path: Path, right: str, wrong: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(right) == 1, f"{path} no longer has {right!r} once; plant another fault"
    path.write_text(text.replace(right, wrong), "utf-8")


def run(tree: Path, *arguments: str) -> str:
    """The output of `pytest --gradcheck` on the copied tree. It must fail, without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--gradcheck", "-p", "no:cacheprovider", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def test_a_wrong_pullback_in_a_file(tree):
    ops = tree / "tinytorch" / "ops" / "activation.py"
    change(ops, "lambda g: g * (1 - y * y)", "lambda g: g * (1 - y * y) * 1.001")
    out = run(tree, "cases/ops/activation.yaml", "cases/xor.yaml")
    assert "cases/ops/activation.yaml:4  tanh::gradient  FAILED" in out
    assert "tinytorch/ops/activation.py" in out
    # In a model the op is named with the line that calls it.
    (failure,) = [part for part in out.split("\n\n") if "xor::gradient  FAILED" in part] or [out]
    assert "tanh" in failure
    assert "plugins/basics/models.py" in failure
    assert "sigmoid::gradient  FAILED" not in out


def test_a_cut_graph_in_a_file(tree):
    models = tree / "plugins" / "basics" / "models.py"
    change(
        models,
        "x = self.pool(self.conv2(x).relu())",
        "x = Tensor(self.pool(self.conv2(x).relu()).data)",
    )
    number = (
        models.read_text()
        .splitlines()
        .index(
            next(line for line in models.read_text().splitlines() if "Tensor(self.pool(" in line)
        )
    )
    out = run(tree, "cases/digits.yaml", "-k", "cnn_digits and graph")
    assert "cnn_digits::graph  FAILED" in out
    for text in ("conv1.weight", "conv2.weight", f"plugins/basics/models.py:{number + 1}"):
        assert text in out
    assert "Tensor(self.pool(self.conv2(x).relu()).data)" in out
