"""Three doors, one order, each file once, and everybody's name on what he brought."""

import importlib.metadata
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck import Register, hookimpl
from gradcheck.names import load as plugins
from gradcheck.yamlcases.implicit import implicit_cases

PLUGIN = """
from gradcheck import hookimpl

@hookimpl
def gradcheck_register(register):
    register.model("{name}", make)

def make():
    return None
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("plugins", "more", "installed"):
        (tmp_path / folder).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    return tmp_path


def write(path: Path, name: str | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLUGIN.format(name=name or path.stem))


def entry_points(monkeypatch, **modules):
    """Make `modules` (name -> module) the only installed plugins."""
    points = [
        importlib.metadata.EntryPoint(name, module, plugins.ENTRY_POINT_GROUP)
        for name, module in modules.items()
    ]
    for module in modules.values():
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(
        plugins.importlib.metadata,
        "entry_points",
        lambda group: points if group == plugins.ENTRY_POINT_GROUP else [],
    )


def models(registry):
    return [(e.name, e.plugin, e.where) for e in registry.entries("model", "tinytorch")]


def test_order_is_built_in_then_entry_points_then_folders_by_name(project, monkeypatch):
    write(project / "installed" / "zeta.py")
    write(project / "installed" / "alpha.py")
    write(project / "plugins" / "beta.py")
    write(project / "plugins" / "pack" / "__init__.py", "pack")
    write(project / "more" / "aaa.py")
    entry_points(monkeypatch, zeta="zeta", alpha="alpha")
    registry = plugins.load([Path("plugins"), Path("more")])
    assert registry.failures == []
    assert [(p.name, p.door) for p in registry.plugins.values()] == [
        ("builtin", "builtin"),
        ("tinytorch", "builtin"),
        ("alpha", "entry point"),
        ("zeta", "entry point"),
        ("beta", "folder"),
        ("pack", "folder"),
        ("aaa", "folder"),
    ]
    assert models(registry) == [
        ("alpha", "alpha", "installed/alpha.py:8"),
        ("zeta", "zeta", "installed/zeta.py:8"),
        ("beta", "beta", "plugins/beta.py:8"),
        ("pack", "pack", "plugins/pack/__init__.py:8"),
        ("aaa", "aaa", "more/aaa.py:8"),
    ]


def test_a_file_is_loaded_once_whichever_door_it_comes_through(project, monkeypatch):
    write(project / "plugins" / "once.py")
    (project / "more" / "again.py").symlink_to(project / "plugins" / "once.py")
    monkeypatch.syspath_prepend(str(project / "plugins"))
    entry_points(monkeypatch, once="once")
    registry = plugins.load([Path("plugins"), Path("more"), Path("plugins")])
    assert registry.failures == []
    assert [m[0] for m in models(registry)] == ["once"]
    assert registry.plugins["once"].door == "entry point"


def test_another_plugin_of_the_same_name_is_refused(project, monkeypatch):
    write(project / "installed" / "same.py")
    write(project / "plugins" / "same.py", "different")
    entry_points(monkeypatch, same="same")
    registry = plugins.load([Path("plugins")])
    assert registry.failures == [
        "plugin same (plugins/same.py:1): a plugin of this name is already loaded from "
        "installed/same.py; rename this one"
    ]
    assert [m[0] for m in models(registry)] == ["same"]


def test_an_entry_point_that_fails_is_named_with_its_place(project, monkeypatch):
    (project / "installed" / "broken_one.py").write_text("\n\nimport no_such_package\n")
    entry_points(monkeypatch, broken="broken_one", gone="no_such_module")
    registry = plugins.load()
    assert registry.failures == [
        "plugin broken (installed/broken_one.py:3): could not be imported: ModuleNotFoundError: No "
        "module named 'no_such_package'; install no_such_package",
        "plugin gone (entry point no_such_module of ?): could not be imported: ModuleNotFoundError:"
        " No module named 'no_such_module'; install no_such_module",
    ]


def test_two_folders_with_a_plugin_of_the_same_file_name_in_two_runs(project):
    write(project / "plugins" / "mine.py", "first")
    write(project / "more" / "mine.py", "second")
    first = plugins.load([Path("plugins")], entry_points=False)
    second = plugins.load([Path("more")], entry_points=False)
    assert [m[0] for m in models(first)] == ["first"]
    assert [m[0] for m in models(second)] == ["second"]


def test_tests_and_private_files_in_a_plugin_folder_are_no_plugins(project):
    for name in ("test_mine.py", "conftest.py", "_shared.py", "__init__.py"):
        (project / "plugins" / name).write_text("raise RuntimeError('not to be imported')\n")
    assert plugins.load([Path("plugins")], entry_points=False).failures == []


def test_an_object_can_be_a_plugin():
    class Mine:
        @hookimpl
        def gradcheck_register(self, register):
            register.loss("mine", lambda output, target: output - target)

    registry = plugins.load(entry_points=False, objects=[("mine", Mine())])
    assert registry.failures == []
    entry = registry.get("loss", "mine", "tinytorch")
    assert entry.plugin == "mine"
    assert entry.where.rpartition(":")[0].endswith("test_doors.py")


def test_a_conftest_registers_through_the_same_looks():
    registry = plugins.load(entry_points=False)
    register = Register(registry, "conftest")
    register.model("ok", SimpleNamespace)
    register.model("wrong", 3)
    assert registry.get("model", "ok", "tinytorch").plugin == "conftest"
    (failure,) = registry.failures
    assert "test_doors.py" in failure


def test_sample_inputs_make_an_implicit_case(project):
    (project / "plugins" / "half.py").write_text(
        """
from gradcheck import hookimpl
from tinytorch import op

@op
def half(x, scale):
    return x * scale / 2, lambda g: (g * scale / 2, g * x / 2)

@hookimpl
def gradcheck_register(register):
    register.op("half", half, inputs={"x": [2, 3], "scale": {"shape": [3], "low": 0.5}})
"""
    )
    registry = plugins.load([Path("plugins")], entry_points=False)
    (case,) = implicit_cases(registry)
    assert (case.name, case.op, case.framework) == ("half", "half", "tinytorch")
    assert (case.place.file, case.place.line) == ("plugins/half.py", 5)
    assert case.inputs["x"].shape == (2, 3)
    assert case.inputs["scale"].low == 0.5
    assert list(case.checks) == ["gradient"]
