"""gradcheck serves another framework where `tinytorch` is not there, or is somebody else's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLUGINS = HERE.parents[1] / "plugins"

CASES = """
schema: 1
cases:
  right: {framework: oddgrad, op: tanh, inputs: {x: [3, 4]}, checks: [gradient]}
  wrong: {framework: oddgrad, op: wrong_tanh, inputs: {x: [3, 4]}, checks: [gradient]}
  bundled: {op: relu, inputs: {x: [3, 4]}, checks: [gradient]}
"""

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tinytorch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def absent(folder: Path) -> None:
    (folder / "sitecustomize.py").write_text(BLOCKED)


def foreign(folder: Path) -> None:
    (folder / "tinytorch").mkdir()
    (folder / "tinytorch" / "__init__.py").write_text("class Tensor:\n    'of another package'\n")


def raises(folder: Path) -> None:
    (folder / "tinytorch").mkdir()
    (folder / "tinytorch" / "__init__.py").write_text("raise RuntimeError('needs a GPU')\n")


ANOTHER = "the bundled framework is not in use, since `import tinytorch` gives another package"
SAYS = {
    absent: "the bundled framework is not installed "
    "(python -m pip install 'pytest-gradcheck[tinytorch]')",
    foreign: ANOTHER,
    raises: ANOTHER,
}


OF_OTHERS = [pytest.param(f, marks=pytest.mark.slow, id=f.__name__) for f in (foreign, raises)]


@pytest.fixture(params=[pytest.param(absent, id="absent"), *OF_OTHERS])
def project(request, tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    request.param(first)
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "odd.py").write_text("from adapter import *\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(first), str(HERE)])
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return request.param, run


def test_cases_of_another_framework_run_and_the_bundled_ones_say_why_not(project):
    what, run = project
    done = run("-m", "gradcheck", "run", "cases.yaml")
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("cases.yaml::right::gradient  passed") for line in lines)
    assert any("wrong::gradient  FAILED" in line for line in lines)
    (about,) = [line for line in lines if line.startswith("cases.yaml:6:")]
    assert "no framework is called 'tinytorch'" in about
    assert SAYS[what] in about
    assert "plugin" not in done.stdout
    assert done.returncode == 2


def test_pytest_runs_them_too(project):
    what, run = project
    done = run("-m", "pytest", "--gradcheck", "-q", "-p", "no:cacheprovider", "cases.yaml")
    assert "2 failed, 1 passed" in done.stdout
    assert SAYS[what] in " ".join(done.stdout.split())
    assert "plugin failure" not in done.stdout


def test_the_listing_says_in_one_line_that_it_is_not_in_use(project):
    what, run = project
    done = run("-m", "gradcheck", "plugins")
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("tinytorch")]
    assert SAYS[what] in line
    assert "What failed" not in done.stdout
    assert "framework:  oddgrad" in done.stdout


IN_TORCH = """
schema: 1
cases:
  ours:
    framework: pytorch
    model: flat
    data: {name: iris, batch: 8}
    loss: cross_entropy
    optimizer: {name: sgd, lr: 0.1}
    checks: [gradient, updates]
"""
FLAT = """
from gradcheck import hookimpl

def flat():
    import torch

    return torch.nn.Linear(4, 3)

@hookimpl
def gradcheck_register(register):
    register.model("flat", flat, framework="pytorch")
"""


@pytest.mark.slow
def test_what_is_free_of_it_is_there_for_pytorch(project, tmp_path):
    """The data sets of `basics`, the tasks of `transformer` and its GPT made of torch."""
    pytest.importorskip("torch")
    _, run = project
    for name in ("basics", "transformer"):
        (tmp_path / "plugins" / name).symlink_to(PLUGINS / name)
    (tmp_path / "plugins" / "flat.py").write_text(FLAT)
    (tmp_path / "cases.yaml").write_text(IN_TORCH)
    done = run("-m", "gradcheck", "plugins")
    assert "What failed" not in done.stdout, done.stdout
    for name in ("digits", "iris", "xor", "char_sequences", "copied_sequences", "gpt"):
        assert f" {name}" in done.stdout
    assert "textbook_gpt" not in done.stdout
    done = run("-m", "pytest", "--gradcheck", "-q", "-p", "no:cacheprovider", "cases.yaml")
    assert "2 passed" in done.stdout, done.stdout
