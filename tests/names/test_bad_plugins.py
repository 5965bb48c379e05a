"""What a broken plugin is told: one line, with the file and line to go to. Nothing else breaks."""

import textwrap
from pathlib import Path

import pytest

from gradcheck.names import load as plugins
from gradcheck.names.registry import UnknownName

HEAD = "from gradcheck import hookimpl\n"

GOOD = (
    HEAD
    + """
@hookimpl
def gradcheck_models(register):
    register("good", lambda: None)
"""
)

BAD = {
    "import_of_missing_package": "import numpy\nimport no_such_package\n",
    "error_at_import": "limit = 1\nshare = limit / 0\n",
    "syntax_error": "def gradcheck_ops(register)\n    pass\n",
    "misspelt_hook": HEAD + "@hookimpl\ndef gradcheck_model(register):\n    pass\n",
    "hook_without_mark": "def gradcheck_models(register):\n    pass\n",
    "wrong_signature": HEAD + "@hookimpl\ndef gradcheck_models(registry, config):\n    pass\n",
    "hook_that_yields": HEAD
    + "@hookimpl\ndef gradcheck_models(register):\n    yield 'm', object\n",
    "hook_that_raises": HEAD
    + "@hookimpl\ndef gradcheck_models(register):\n    register('m', MyModel)\n",
    "instance_instead_of_factory": HEAD
    + "@hookimpl\ndef gradcheck_models(register):\n    register('m', 17)\n",
    "model_instead_of_its_class": (
        HEAD
        + "@hookimpl\ndef gradcheck_models(register):\n    from tinytorch import nn\n"
        + "    register('m', nn.Linear(2, 2))\n"
    ),
    "script_that_exits": "import sys\nsys.exit(3)\n",
    "check_class_instead_of_object": (
        HEAD
        + "class C:\n    pass\n\n@hookimpl\ndef gradcheck_checks(register):\n"
        + "    register('c', C)\n"
    ),
    "check_without_run": (
        HEAD
        + "class C:\n    name = 'c'\n\n@hookimpl\ndef gradcheck_checks(register):\n"
        + "    register('c', C())\n"
    ),
    "loss_of_one_argument": HEAD
    + "@hookimpl\ndef gradcheck_losses(register):\n    register('l', lambda x: x)\n",
    "sample_inputs_that_are_none": HEAD
    + "@hookimpl\ndef gradcheck_ops(register):\n    register('o', abs, inputs={'x': 3})\n",
    "unknown_argument": HEAD
    + "@hookimpl\ndef gradcheck_ops(register):\n    register('o', abs, input={'x': []})\n",
    "name_that_is_no_id": HEAD
    + "@hookimpl\ndef gradcheck_models(register):\n    register('my model', abs)\n",
    "name_that_is_taken": (
        HEAD + "\n\n@hookimpl\ndef gradcheck_checks(register):\n"
        "    from gradcheck.checks.graph.check import Graph\n    register('graph', Graph())\n"
    ),
    "newer_api": "# for the next gradcheck\ngradcheck_api = 2\n",
    "older_api": "gradcheck_api = 0\n",
    "api_that_is_no_number": "gradcheck_api = '1'\n",
    "fault_without_check": HEAD
    + "@hookimpl\ndef gradcheck_faults(register):\n    register('f', abs)\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "good.py").write_text(GOOD)
    return tmp_path / "plugins"


def without_checkout(sentence: str) -> str:
    """`sentence` with the places of gradcheck's own files without folder and line."""
    import re

    root = re.escape(str(Path(plugins.__file__).parents[2]))
    return re.sub(rf"{root}/([\w/.]+):\d+", r"\1", sentence)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_is_told_in_one_line(folder, name, golden):
    (folder / "bad.py").write_text(BAD[name])
    registry = plugins.load([Path("plugins")], entry_points=False)
    (failure,) = registry.failures
    assert "\n" not in failure
    golden(without_checkout(failure))
    # Everything else is there.
    assert registry.get("model", "good", "tinytorch").plugin == "good"
    assert "graph" in registry.names("check")


def test_only_what_needs_the_bad_plugin_hears_of_it(folder):
    (folder / "bad.py").write_text("import no_such_package\n")
    registry = plugins.load([Path("plugins")], entry_points=False)
    registry.get("model", "good", "tinytorch")
    with pytest.raises(UnknownName, match=r"bad\.py:1.*no_such_package"):
        registry.get("model", "missing", "tinytorch")


def test_a_bad_registration_leaves_the_others_of_its_hook(folder):
    (folder / "bad.py").write_text(
        HEAD
        + textwrap.dedent(
            """
            @hookimpl
            def gradcheck_models(register):
                register("first", 3)
                register("second", object)
            """
        )
    )
    registry = plugins.load([Path("plugins")], entry_points=False)
    assert len(registry.failures) == 1
    assert registry.names("model", "tinytorch") == ["good", "second"]


def test_a_missing_file_of_a_package_is_placed_at_the_import(folder):
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text(
        HEAD + "@hookimpl\ndef gradcheck_models(register):\n    from . import parts\n"
    )
    (folder / "pack" / "parts.py").write_text("\n\nvalue = undefined\n")
    registry = plugins.load([Path("plugins")], entry_points=False)
    (failure,) = registry.failures
    assert failure.startswith("plugin pack (plugins/pack/parts.py:3): gradcheck_models raised")


def test_strict_raises_with_every_sentence(folder):
    (folder / "bad.py").write_text("import no_such_package\n")
    (folder / "worse.py").write_text("gradcheck_api = 7\n")
    with pytest.raises(plugins.PluginError) as error:
        plugins.load([Path("plugins")], entry_points=False, strict=True)
    lines = str(error.value).splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["plugin bad", "plugin worse"]


@pytest.mark.parametrize("extra", [{"framework": "tinytorch"}, {"where": 3}])
def test_what_belongs_to_no_framework_takes_none(folder, extra):
    registry = plugins.load(entry_points=False)
    plugins.registrar(registry, "dataset", "conftest")("d", object, **extra)
    (failure,) = registry.failures
    assert failure.startswith("plugin conftest (")
    assert f"{next(iter(extra))!r}" in failure or "belongs to no framework" in failure


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        (lambda: object(), "has no method manual_seed, leaf, named_parameters"),
        (lambda: 1 / 0, "cannot be used: ZeroDivisionError: division by zero"),
    ],
)
def test_a_framework_that_is_none_is_told_when_it_is_needed(factory, says):
    registry = plugins.load(entry_points=False)
    plugins.registrar(registry, "framework", "mine")("odd", factory)
    with pytest.raises(UnknownName, match=says):
        registry.framework("odd")
