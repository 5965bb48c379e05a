"""What is installed: every package, and the data that must come with them."""

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

OWN_USE = {"broken"}
"""Plugins that serve only the cases of this project and are not installed."""

ROOT = Path(__file__).parents[1]

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def packages_on_disk() -> set[str]:
    found = set()
    for top, name in (("gradcheck", "gradcheck"), ("tinytorch", "tinytorch")):
        for init in (ROOT / top).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / top).parts]))
    for init in (ROOT / "plugins").rglob("__init__.py"):
        found.add(".".join(["gradcheck_plugins", *init.parent.relative_to(ROOT / "plugins").parts]))
    return {p for p in found if p.partition(".")[2].partition(".")[0] not in OWN_USE}


def test_every_package_is_listed(pyproject):
    assert set(pyproject["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_every_first_party_plugin_has_an_entry_point(pyproject):
    points = pyproject["project"]["entry-points"]["gradcheck"]
    files = {p.stem for p in (ROOT / "plugins").glob("[!_]*.py")}
    folders = {p.parent.name for p in (ROOT / "plugins").glob("[!_]*/__init__.py")}
    assert set(points) == (files | folders) - OWN_USE
    assert all(module == f"gradcheck_plugins.{name}" for name, module in points.items())


def test_the_installed_entry_points_are_those_of_the_project(pyproject):
    installed = {p.name: p.value for p in importlib.metadata.entry_points(group="gradcheck")}
    ours = pyproject["project"]["entry-points"]["gradcheck"]
    missing = set(ours.items()) - set(installed.items())
    assert not missing, "install the project again: python -m pip install -e ."


def test_a_wheel_holds_packages_templates_and_data(pyproject, tmp_path):
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.partition(".")[0]) < 77:
        pytest.skip("building needs setuptools 77")
    import shutil

    for name in ("gradcheck", "tinytorch", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path)
    build = "import setuptools.build_meta as b; print(b.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in pyproject["tool"]["setuptools"]["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in names
    for data in (
        "gradcheck/py.typed",
        "gradcheck/case.schema.json",
        "gradcheck/commands/templates/op.py.txt",
        "gradcheck_plugins/swish.py",
        "gradcheck_plugins/basics/digits.npz",
        "gradcheck_plugins/basics/iris.npz",
        "gradcheck_plugins/basics/SOURCES.md",
    ):
        assert data in names
    assert not [
        n for n in names if n.startswith(("plugins/", "tests/", "gradcheck_plugins/broken"))
    ]
