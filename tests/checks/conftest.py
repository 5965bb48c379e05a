"""A user's project: one train.py with a model, steps and data, and YAML cases."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from tests.support.subjects import Bench

HEAD = """\
import numpy as np

import tinytorch
from gradcheck import hookimpl
from tinytorch import Tensor, nn, no_grad, optim
from tinytorch.nn import functional as F

"""


class UserProject:
    """`write` makes plugins/train.py, `run` one case of it; both as a new user would."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.source = ""
        pytester.makeini("[pytest]\n")

    def write(self, body: str, **registered: str) -> None:
        """`models="net: Net"` registers Net as model net; likewise steps, datasets, losses ..."""
        self.source = HEAD + textwrap.dedent(body)
        if registered:
            self.source += "\n\n@hookimpl\ndef gradcheck_register(register):\n"
        for kinds, pairs in registered.items():
            kind = "loss" if kinds == "losses" else kinds.removesuffix("s")
            for pair in pairs.split(";"):
                name, _, value = pair.partition(":")
                self.source += f"    register.{kind}({name.strip()!r}, {value.strip()})\n"
        file = self.path / "plugins" / "train.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(self.source, encoding="utf-8")

    def line(self, text: str) -> int:
        """The number of the only line of train.py that contains `text`."""
        found = [i for i, row in enumerate(self.source.splitlines(), 1) if text in row]
        assert len(found) == 1, (text, found)
        return found[0]

    def place(self, text: str) -> str:
        return f"plugins/train.py:{self.line(text)}"

    def run(self, checks: str, **keys: str) -> str:
        """Run a case with these checks and keys; the terminal's text."""
        values = {
            "model": "net",
            "data": "{name: digits, batch: 16}",
            "loss": "cross_entropy",
            "optimizer": "{name: adam, lr: 0.01}",
            **keys,
            "checks": checks,
        }
        text = "schema: 1\ncases:\n  mine:\n"
        text += "".join(f"    {key}: {value}\n" for key, value in values.items())
        (self.path / "cases").mkdir(exist_ok=True)
        (self.path / "cases" / "mine.yaml").write_text(text, encoding="utf-8")
        without = ["-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:cacheprovider"]
        result: Any = self.pytester.runpytest_inprocess(*without, "--gradcheck")
        # pytest warns of modules that it cannot rewrite, when it runs inside a run that has them
        self.outcomes = {k: n for k, n in result.parseoutcomes().items() if k != "warnings"}
        return str(result.stdout)


@pytest.fixture(scope="session")
def loaded() -> None:
    """In-process runs forget what they import; numpy cannot be imported a second time."""
    import gradcheck.engine
    import gradcheck.frameworks.tinytorch
    import gradcheck.in_pytest.collect
    import gradcheck.in_pytest.reporter
    import gradcheck.names.load
    import gradcheck.yamlcases.implicit
    import gradcheck.yamlcases.load

    gradcheck.names.load.load()


@pytest.fixture
def user(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, loaded: None) -> UserProject:
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    return UserProject(pytester)


@pytest.fixture
def bench() -> Bench:
    return Bench()
