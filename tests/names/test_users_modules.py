"""Plugins import the user's own modules; what a missing one is told; the cause first and once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.names import load as plugins
from gradcheck.yamlcases.load import load_text

PLUGIN = """\
from gradcheck import hookimpl
{line}

@hookimpl
def gradcheck_register(register):
    register.model("my_net", Net)
    register.loss("my_loss", lambda output, target: output)
"""
NET = "class Net:\n    pass\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.delitem(sys.modules, "doors_net", raising=False)  # of an earlier test
    (tmp_path / "plugins").mkdir()
    return tmp_path


def loaded(root: Path, line: str = "from doors_net import Net"):
    (root / "plugins" / "mine.py").write_text(PLUGIN.format(line=line))
    return plugins.load([root / "plugins"], entry_points=False, root=root)


def test_a_module_beside_the_folder_of_plugins_is_found(root):
    (root / "doors_net.py").write_text(NET)
    registry = loaded(root)
    assert registry.failures == []
    assert registry.get("model", "my_net", "tinytorch").value.__module__ == "doors_net"


WHERE = {
    "src/doors_net.py": "src/doors_net.py is there, but not on the path of imports: set "
    "PYTHONPATH=src",
    "src/doors_net/__init__.py": "src/doors_net/__init__.py is there, but not on the path",
    "plugins/doors_net.py": "plugins/doors_net.py lies among the plugins, which are no place to "
    "import from: move it to the project's root",
    "elsewhere/deep/doors_net.py": "install doors_net",
}


@pytest.mark.parametrize("file", WHERE)
def test_only_what_is_not_the_users_is_to_be_installed(root, file):
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(NET)
    (failure,) = loaded(root).failures
    assert failure.startswith("plugin mine (plugins/mine.py:2): could not be imported")
    assert WHERE[file] in failure


def test_a_part_that_a_package_does_not_have(root):
    (failure,) = loaded(root, "import json.net").failures
    assert "json is there and has no such part: correct the name" in failure


CASES = """
schema: 1
cases:
  one: {model: my_net, data: digits, loss: my_loss}
  two: {model: my_net, data: digits, loss: other_loss}
"""


def test_the_cause_comes_first_and_once(root):
    registry = loaded(root)
    (cause,) = registry.failures
    said = [(e.line, e.message) for e in load_text(CASES, registry).errors]
    because = "for the reason given at line 4"
    (_, first), (_, data), (_, loss), (_, again), _, (_, other) = said
    assert first == f"{cause}; so no model of framework tinytorch is called 'my_net'"
    assert data == "no dataset is called 'digits'; none is registered"
    assert loss == f"no loss of framework tinytorch is called 'my_loss', {because}"
    assert again == f"no model of framework tinytorch is called 'my_net', {because}"
    assert other.startswith("no loss of framework tinytorch is called 'other_loss'")
    assert sum(cause in message for _, message in said) == 1


def test_pytest_started_as_a_script_finds_it_and_says_each_failure_once(root):
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / "cases").mkdir()
    (root / "cases" / "a.yaml").write_text(CASES.replace("other_loss", "my_loss"))
    loaded(root)
    run = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-I", "-m", "pytest"]
    # where CI is set, pytest's summary repeats whole messages
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "BUILD_NUMBER")}
    done = subprocess.run([*run, "--gradcheck"], capture_output=True, text=True, env=env)
    assert done.stdout.count("No module named 'doors_net'") == 1
    (root / "doors_net.py").write_text(NET)
    done = subprocess.run([*run, "--gradcheck"], capture_output=True, text=True)
    assert "No module named" not in done.stdout
