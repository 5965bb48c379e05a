"""The public names: typed for an editor, and all that the first-party plugins use."""

import ast
import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import pytest

import gradcheck
import tinytorch

ROOT = Path(__file__).parents[1]
PUBLIC_MODULES = ("gradcheck.testing", "gradcheck.plugins")
"""Public beside what `gradcheck.__all__` names."""

AUTHOR = """\
from contextlib import nullcontext

import gradcheck
from gradcheck import Case, Finding, Register, Result, Subject, hookimpl
from tinytorch import Tensor, nn, op


@op
def half(x):  # type: ignore[no-untyped-def]
    return x / 2, lambda g: g / 2


class Small:
    name = "small"

    class Options(gradcheck.Options):
        below: float = 1.0

    def applies(self, case: Case) -> str | None:
        return None if case.model else "it is a case of an op"

    def run(self, subject: Subject, options: Options) -> Result:
        return Result(findings=(Finding(code="large", message="w is large"),))


@hookimpl
def gradcheck_register(register: Register) -> None:
    register.op("half", half, inputs={"x": [2, 3]})
    register.model("linear", nn.Linear)
    register.check("small", Small())
    MISTAKE


reveal_type(gradcheck.check_gradients(half, [1.0]))
"""

MISTAKES = {
    'register.op("half", half, input={"x": [2]})': 'Unexpected keyword argument "input" for "op"',
    'register.modle("linear", nn.Linear)': '"Register" has no attribute "modle"',
    'register.check("small", Small)': 'Argument 2 to "check" of "Register" has incompatible type',
    'register.fault("f", nullcontext, check="gradient")': 'Missing named argument "finding"',
}


def typing_imports() -> dict[str, str]:
    """name -> module, of what `gradcheck/__init__.py` imports under TYPE_CHECKING."""
    tree = ast.parse((ROOT / "gradcheck" / "__init__.py").read_text("utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    return {
        alias.name: node.module.removeprefix("gradcheck.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_what_type_checkers_see_is_what_is_loaded():
    assert typing_imports() == gradcheck._LOADED_FROM
    assert set(gradcheck.__all__) == {"API_VERSION", "hookimpl", *gradcheck._LOADED_FROM}
    for name in gradcheck.__all__:
        assert getattr(gradcheck, name) is not None


def test_every_public_name_of_tinytorch_is_exported():
    public = {
        name
        for name, value in vars(tinytorch).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - set(tinytorch.__all__) == {"Any", "annotations"}
    assert isinstance(tinytorch.op, types.FunctionType)


def imports(path: Path) -> set[str]:
    """What a file imports of gradcheck, as 'module:name'."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
            found.update(f"{node.module}:{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(f"{alias.name}:" for alias in node.names)
    return {f for f in found if f.partition(":")[0].partition(".")[0] == "gradcheck"}


def test_first_party_plugins_use_public_names_only():
    public = {"gradcheck:", *(f"gradcheck:{name}" for name in gradcheck.__all__)}
    files = sorted((ROOT / "plugins").rglob("*.py"))
    assert len(files) > 20
    used = {f"{path.relative_to(ROOT)} {i}" for path in files for i in imports(path) - public}
    assert {u for u in used if not u.partition(" ")[2].startswith(PUBLIC_MODULES)} == set()


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """mypy's words for the author's file, by the mistake that is in it."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    folder = tmp_path_factory.mktemp("author")
    paths = {}
    for number, mistake in enumerate(["pass", *MISTAKES]):
        paths[mistake] = folder / f"author_{number}.py"
        paths[mistake].write_text(AUTHOR.replace("MISTAKE", mistake))
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    command += ["--ignore-missing-imports", "--cache-dir", str(folder), *map(str, paths.values())]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300).stdout
    return {
        mistake: [line for line in said.splitlines() if path.name in line]
        for mistake, path in paths.items()
    }


@pytest.mark.slow
def test_a_valid_plugin_is_clean_under_mypy_strict(mypy):
    (line,) = mypy["pass"]
    assert line.endswith('Revealed type is "gradcheck.result.Result"')


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mypy_finds_a_mistake(mypy, mistake):
    errors = [line for line in mypy[mistake] if "error:" in line]
    assert len(errors) == 1
    assert MISTAKES[mistake] in errors[0]
