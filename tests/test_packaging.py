"""What is installed: every package, and the data that must come with them."""

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

OWN_USE = {"broken"}
"""Plugins that serve only the cases of this project and are not installed."""

ROOT = Path(__file__).parents[1]
PACKAGES = {"gradcheck": "gradcheck", "plugins": "gradcheck.plugins", "tinytorch": "tinytorch"}
"""Folder -> the package that it is installed as."""

GROUPS = ("gradcheck", "gradcheck.tinytorch")

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")


def read(path: str) -> dict:
    return tomllib.loads((ROOT / path).read_text("utf-8"))


@pytest.fixture(scope="module")
def pyproject():
    return read("pyproject.toml")


def packages_on_disk(folder: str) -> set[str]:
    top = ROOT / folder
    return {
        ".".join([PACKAGES[folder], *init.parent.relative_to(top).parts])
        for init in top.rglob("__init__.py")
        if folder != "plugins" or not OWN_USE & set(init.relative_to(top).parts)
    }


def entry_points_of(pyproject) -> dict[str, str]:
    return {n: m for g in GROUPS for n, m in pyproject["project"]["entry-points"][g].items()}


def test_every_package_is_listed(pyproject):
    listed = pyproject["tool"]["setuptools"]["packages"]
    assert set(listed) == packages_on_disk("gradcheck") | packages_on_disk("plugins")
    own = read("tinytorch/pyproject.toml")["tool"]["setuptools"]["packages"]
    assert set(own) == packages_on_disk("tinytorch")


def test_both_distributions_have_one_version_and_one_python(pyproject):
    own = read("tinytorch/pyproject.toml")["project"]
    for key in ("version", "requires-python", "license"):
        assert own[key] == pyproject["project"][key]
    assert pyproject["project"]["optional-dependencies"]["tinytorch"] == [own["name"]]
    assert not [d for d in pyproject["project"]["dependencies"] if "tinytorch" in d]


def test_the_marker_of_the_bundled_framework_is_the_name_of_its_distribution():
    from gradcheck.names import bundled

    name = read("tinytorch/pyproject.toml")["project"]["name"]
    assert f'__distribution__ = "{name}"' == bundled.MARKER
    assert bundled.folder() == ROOT / "tinytorch"
    assert bundled.why_not() is None


def test_every_first_party_plugin_has_an_entry_point(pyproject):
    points = entry_points_of(pyproject)
    files = {p.stem for p in (ROOT / "plugins").glob("[!_]*.py")}
    folders = {p.parent.name for p in (ROOT / "plugins").glob("[!_]*/__init__.py")}
    assert set(points) == (files | folders) - OWN_USE
    assert all(module == f"gradcheck.plugins.{name}" for name, module in points.items())


def test_the_installed_entry_points_are_those_of_the_project(pyproject):
    installed = {p.name: p.value for g in GROUPS for p in importlib.metadata.entry_points(group=g)}
    missing = set(entry_points_of(pyproject).items()) - set(installed.items())
    assert not missing, "install the project again: python -m pip install -e ./tinytorch -e ."


def build_wheel(source: Path, copy: Path) -> set[str]:
    """The names in the wheel of a copy of `source`: nothing is left behind in the checkout."""
    shutil.copytree(
        source,
        copy,
        ignore=shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build", "dist"),
    )
    # -I: the folder tinytorch has a random.py, which must not hide that of Python.
    build = "import setuptools.build_meta as b; print(b.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", build], cwd=copy, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (copy / "dist").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture
def can_build():
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.partition(".")[0]) < 77:
        pytest.skip("building needs setuptools 77")


def test_a_wheel_holds_packages_templates_and_data(can_build, pyproject, tmp_path):
    names = build_wheel(ROOT, tmp_path / "copy")
    for package in pyproject["tool"]["setuptools"]["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in names
    for data in (
        "gradcheck/py.typed",
        "gradcheck/case.schema.json",
        "gradcheck/commands/templates/op.py.txt",
        "gradcheck/plugins/_faults/catalogue.py",
        "gradcheck/plugins/swish.py",
        "gradcheck/plugins/basics/digits.npz",
        "gradcheck/plugins/basics/iris.npz",
        "gradcheck/plugins/basics/SOURCES.md",
    ):
        assert data in names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"gradcheck", "pytest_gradcheck-0.1.0.dist-info"}
    assert not [n for n in names if n.startswith("gradcheck/plugins/broken")]


def test_the_wheel_of_the_framework_holds_it_alone(can_build, tmp_path):
    names = build_wheel(ROOT / "tinytorch", tmp_path / "copy")
    assert {"tinytorch/__init__.py", "tinytorch/ops/shape.py", "tinytorch/py.typed"} <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"tinytorch", "gradcheck_tinytorch-0.1.0.dist-info"}
