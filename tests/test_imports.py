"""Arrows run one way: who may import whom, read from the source itself."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CRASH = ROOT / "gradcheck" / "crash.py"

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")

STAGES = tuple(
    tuple(re.findall(r"`([\w.]+)`", row))
    for row in re.findall(r"^\| \d+ \| (.+?) \|", ARCHITECTURE, re.MULTILINE)
)
"""The rows of the table of ARCHITECTURE.md.

A module imports at import time only from its own row and from the rows below it.
"""


def modules(package: str) -> list[tuple[str, Path]]:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append((".".join(p for p in parts if p != "__init__"), path))
    return found


@functools.cache
def imported(path: Path, name: str, *, lazily: bool = True) -> set[str]:
    """Full names of modules that a file imports; without those inside functions unless `lazily`.

    What stands under `if TYPE_CHECKING:` does not count: it is never run.
    """
    found: set[str] = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not lazily:
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    up = package.split(".")[: len(package.split(".")) - child.level + 1]
                    base = ".".join([*up, base] if base else up)
                found.add(base)
                found.update(f"{base}.{alias.name}" for alias in child.names)
            visit(child)

    visit(ast.parse(path.read_text("utf-8")))
    return found


def belongs(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def stage_of(name: str) -> int | None:
    """The stage of the longest name that `name` belongs to."""
    fitting = [
        (len(member), number)
        for number, members in enumerate(STAGES)
        for member in members
        if belongs(name, member)
    ]
    return max(fitting)[1] if fitting else None


def test_the_table_of_the_architecture_names_what_there_is():
    known = {name for name, _ in modules("gradcheck")}
    members = [member for row in STAGES for member in row]
    assert len(STAGES) > 10
    assert len(members) == len(set(members))
    assert set(members) <= known, set(members) - known


def test_the_paths_that_the_architecture_shows_are_there():
    shown = set(re.findall(r"`([\w./]+(?:/|\.py|\.yaml))`", ARCHITECTURE))
    missing = {
        p for p in shown if not any((top / p).exists() for top in (ROOT, ROOT / "gradcheck"))
    }
    assert len(shown) > 20
    assert not missing


def test_tinytorch_never_imports_gradcheck():
    for name, path in modules("tinytorch"):
        wrong = [i for i in imported(path, name) if belongs(i, "gradcheck")]
        assert not wrong, f"{name} imports {wrong}"


def test_only_the_adapter_and_its_plugin_import_tinytorch():
    allowed = {"gradcheck.names.builtin_tinytorch"}
    for name, path in modules("gradcheck"):
        if name in allowed or name.startswith("gradcheck.frameworks.tinytorch"):
            continue
        wrong = [i for i in imported(path, name) if belongs(i, "tinytorch")]
        assert not wrong, f"{name} imports {wrong}"


def test_a_stage_imports_only_what_comes_after_it():
    wrong = [
        sentence for name, path in modules("gradcheck") for sentence in out_of_order(name, path)
    ]
    assert wrong == []


def out_of_order(name, path):
    """A sentence for each import of a module that comes before it."""
    if path.name == "__init__.py":  # its names are looked up when they are asked for
        return
    own = stage_of(name)
    if own is None:
        yield f"{name} has no row; put it into the table of ARCHITECTURE.md"
        return
    for other in imported(path, name, lazily=False):
        stage = stage_of(other)
        if stage is not None and stage < own:
            yield f"{name} imports {other}, which comes before it"


def test_only_one_way_to_a_subject_knows_what_a_case_is():
    for name, path in modules("gradcheck/probe"):
        if name == "gradcheck.probe.from_case":
            continue
        known = ("gradcheck.yamlcases", "gradcheck.names")
        wrong = [i for i in imported(path, name) if any(belongs(i, k) for k in known)]
        assert not wrong, f"{name} imports {wrong}"
    for name, path in [*modules("gradcheck/numerics"), ("gradcheck.crash", CRASH)]:
        assert "gradcheck.yamlcases.case.Case" not in imported(path, name), name


def test_there_is_no_import_circle():
    names = {name for name, path in modules("gradcheck") if path.name != "__init__.py"}
    arrows = {
        name: imported(path, name, lazily=False) & names
        for name, path in modules("gradcheck")
        if name in names
    }
    while leaves := [name for name, others in arrows.items() if not others & arrows.keys()]:
        for name in leaves:
            del arrows[name]
    stuck = {name: sorted(others & arrows.keys()) for name, others in arrows.items()}
    assert not stuck, f"these import one another in a circle, or import such: {stuck}"


def test_nothing_private_of_pytest_is_imported():
    for package in ("gradcheck", "tinytorch"):
        for name, path in modules(package):
            assert not [i for i in imported(path, name) if belongs(i, "_pytest")], name


def test_tinytorch_runs_on_numpy_alone():
    code = (
        "import sys, tinytorch\n"
        "for name in ('pytest', 'pluggy', 'yaml', 'pydantic', 'gradcheck', 'torch'):\n"
        "    assert name not in sys.modules, name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
