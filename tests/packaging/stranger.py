"""Somebody's own framework that is also called `tinytorch`: the tests' second framework, renamed.

Its GELU is wrong, so a GELU that passes shows that other code than theirs ran.
"""

from pathlib import Path

FRAMEWORK = Path(__file__).parents[1] / "frameworks"

WRONG_GELU = '''

def gelu(x):
    """The derivative of the bend is missing."""
    bend = (1 + np.tanh(x.value)) / 2
    return Var(x.value * bend, [(x, lambda g: g * bend)])
'''

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "tinytorch"
version = "9.0"

[tool.setuptools]
packages = ["tinytorch"]
"""

CASES = """
schema: 1
cases:
  right: {op: tanh, inputs: {x: [3, 4]}, checks: [gradient]}
  wrong: {op: gelu, inputs: {x: [3, 4]}, checks: [gradient]}
  net:
    model: net
    args: {inputs: 2, hidden: 8}
    data: {name: waves, batch: 8}
    loss: squared_error
    optimizer: {name: descent, lr: 0.1}
    checks: [gradient]
"""
"""No case names a framework: `tinytorch` is the default."""


def write_package(root: Path) -> None:
    """A project with the package `tinytorch`, ready to be built or put on the path."""
    package = root / "tinytorch"
    package.mkdir(parents=True)
    text = (FRAMEWORK / "oddgrad.py").read_text("utf-8")
    (package / "__init__.py").write_text(text + WRONG_GELU, "utf-8")
    (package / "extra.py").write_text("'Ours has no such module.'\n")
    (root / "pyproject.toml").write_text(PYPROJECT)


def write_cases(root: Path) -> None:
    """Case files of that framework, with its adapter as a plugin called `mine`."""
    adapter = (FRAMEWORK / "adapter.py").read_text("utf-8").replace("oddgrad", "tinytorch")
    for old, new in (
        ("from tinytorch import ", "from tinytorch import gelu, "),
        ("(affine, tanh, wrong_tanh)", "(affine, tanh, gelu)"),
    ):
        assert old in adapter, f"the adapter has no {old!r} any more"
        adapter = adapter.replace(old, new)
    (root / "plugins").mkdir(parents=True)
    (root / "plugins" / "mine.py").write_text(adapter, "utf-8")
    (root / "cases.yaml").write_text(CASES)
