"""A user's project: one train.py with a model, steps and data, and YAML cases."""

from __future__ import annotations

import re
import textwrap

from tests.support.project import Project

HEAD = """\
import numpy as np

import tinytorch
from gradcheck import hookimpl
from tinytorch import Tensor, nn, no_grad, optim
from tinytorch.nn import functional as F

"""


# A fraction, or a number after a word that says it was measured; the spaces align a table.
MEASURED = re.compile(r"(-?\d+\.\d+(e[-+]?\d+)?|(?<=loss )\d\S*|(?<=numeric )-?\d\S*) *")


class UserProject(Project):
    """A new user's: `script` writes plugins/train.py, `check` runs one case of it."""

    source = ""

    def script(self, body: str, **registered: str) -> None:
        """`models="net: Net"` registers Net as model net; likewise steps, datasets, losses ..."""
        self.source = HEAD + textwrap.dedent(body)
        if registered:
            self.source += "\n\n@hookimpl\ndef gradcheck_register(register):\n"
        for kinds, pairs in registered.items():
            kind = "loss" if kinds == "losses" else kinds.removesuffix("s")
            for pair in pairs.split(";"):
                name, _, value = pair.partition(":")
                self.source += f"    register.{kind}({name.strip()!r}, {value.strip()})\n"
        self.write("plugins/train.py", self.source)

    def line(self, text: str) -> int:
        """The number of the only line of train.py that contains `text`."""
        found = [i for i, row in enumerate(self.source.splitlines(), 1) if text in row]
        assert len(found) == 1, (text, found)
        return found[0]

    def place(self, text: str) -> str:
        return f"plugins/train.py:{self.line(text)}"

    def check(self, checks: str, **keys: str) -> str:
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
        self.write("cases/mine.yaml", text)
        result = self.run("--gradcheck", "-p", "no:cacheprovider")
        # pytest warns of modules that it cannot rewrite, when it runs inside a run that has them
        self.outcomes = {k: n for k, n in result.parseoutcomes().items() if k != "warnings"}
        return str(result.stdout)

    def said(self, checks: str, **keys: str) -> str:
        """Run a case and return what its failures say: each place of train.py with its line of
        text, and `#` for each number that another machine may round otherwise."""
        text = self.check(checks, **keys)
        rows = self.source.splitlines()
        blocks = re.findall(
            r"^cases/mine.yaml:3 .*?(?=\n {2}\d+ \|)", text, re.DOTALL | re.MULTILINE
        )
        said = MEASURED.sub("#  ", "\n".join(blocks)).replace("#  \n", "#\n")
        return re.sub(
            r"plugins/train\.py:(\d+)",
            lambda place: f"{place[0]} <{rows[int(place[1]) - 1].strip()}>",
            said,
        )
