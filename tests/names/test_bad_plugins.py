"""What a broken plugin is told: one line, with the file and line to go to. Nothing else breaks."""

import re
import textwrap
from pathlib import Path

import pytest

from gradcheck import Register
from gradcheck.names import load as plugins
from gradcheck.names.registry import UnknownName

HEAD = "from gradcheck import hookimpl\n"
HOOK = HEAD + "@hookimpl\ndef gradcheck_register(register):\n"

GOOD = (
    HEAD
    + """
@hookimpl
def gradcheck_register(register):
    register.model("good", lambda: None)
"""
)

BAD = {
    "import_of_missing_package": ("import numpy\nimport no_such_package\n"),
    "error_at_import": ("limit = 1\nshare = limit / 0\n"),
    "syntax_error": ("def gradcheck_register(register)\n    pass\n"),
    "misspelt_hook": (HEAD + "@hookimpl\ndef gradcheck_registers(register):\n    pass\n"),
    "marked_function_of_another_name": (HEAD + "@hookimpl\ndef my_models(register):\n    pass\n"),
    "former_hook": (HEAD + "@hookimpl\ndef gradcheck_ops(register):\n    register('o', abs)\n"),
    "former_hooks": (
        HEAD
        + "@hookimpl\ndef gradcheck_steps(register):\n    pass\n\n"
        + "@hookimpl\ndef gradcheck_losses(register):\n    pass\n"
    ),
    "hook_without_mark": ("def gradcheck_register(register):\n    pass\n"),
    "wrong_signature": (HEAD + "@hookimpl\ndef gradcheck_register(registry, config):\n    pass\n"),
    "hook_that_yields": (HOOK + "    yield 'm', object\n"),
    "hook_that_raises": (HOOK + "    register.model('m', MyModel)\n"),
    "instance_instead_of_factory": (HOOK + "    register.model('m', 17)\n"),
    "model_instead_of_its_class": (
        HOOK + "    from tinytorch import nn\n    register.model('m', nn.Linear(2, 2))\n"
    ),
    "script_that_exits": ("import sys\nsys.exit(3)\n"),
    "check_class_instead_of_object": (
        HEAD
        + "class C:\n    pass\n\n@hookimpl\ndef gradcheck_register(register):\n"
        + "    register.check('c', C)\n"
    ),
    "check_without_run": (
        HEAD
        + "class C:\n    name = 'c'\n\n@hookimpl\ndef gradcheck_register(register):\n"
        + "    register.check('c', C())\n"
    ),
    "loss_of_one_argument": (HOOK + "    register.loss('l', lambda x: x)\n"),
    "sample_inputs_that_are_none": (HOOK + "    register.op('o', abs, inputs={'x': 3})\n"),
    "unknown_argument": (HOOK + "    register.op('o', abs, input={'x': []})\n"),
    "name_that_is_not_text": (HOOK + "    register.op(abs, 'o')\n"),
    "framework_that_is_not_a_name": (HOOK + "    register.op('o', abs, framework=abs)\n"),
    "name_that_is_no_id": (HOOK + "    register.model('my model', abs)\n"),
    "name_that_is_taken": (
        HOOK + "    from gradcheck.checks.graph.check import Graph\n"
        "    register.check('graph', Graph())\n"
    ),
    "newer_api": ("# for the next gradcheck\ngradcheck_api = 2\n"),
    "older_api": ("gradcheck_api = 0\n"),
    "api_that_is_no_number": ("gradcheck_api = '1'\n"),
    "fault_without_check": (
        HOOK + "    register.fault('f', abs, check=None, finding='wrong_gradient')\n"
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "good.py").write_text(GOOD)
    return tmp_path / "plugins"


def without_checkout(sentence: str) -> str:
    """`sentence` with the places of gradcheck's own files without folder and line."""
    root = re.escape(str(Path(plugins.__file__).parents[2]))
    return re.sub(rf"{root}/([\w/.]+):\d+", r"\1", sentence)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_is_told_in_one_line(folder, name, golden):
    (folder / "bad.py").write_text(BAD[name])
    registry = plugins.load([Path("plugins")], entry_points=False)
    (failure,) = registry.failures
    assert "\n" not in failure
    # Newer versions of Python add a suggestion to their TypeError.
    golden(without_checkout(failure).replace(". Did you mean 'inputs'?", ""))
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
            def gradcheck_register(register):
                register.model("first", 3)
                register.model("second", object)
            """
        )
    )
    registry = plugins.load([Path("plugins")], entry_points=False)
    assert len(registry.failures) == 1
    assert registry.names("model", "tinytorch") == ["good", "second"]


def test_a_missing_file_of_a_package_is_placed_at_the_import(folder):
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text(HOOK + "    from . import parts\n")
    (folder / "pack" / "parts.py").write_text("\n\nvalue = undefined\n")
    registry = plugins.load([Path("plugins")], entry_points=False)
    (failure,) = registry.failures
    assert failure.startswith("plugin pack (plugins/pack/parts.py:3): gradcheck_register raised")


def test_strict_raises_with_every_sentence(folder):
    (folder / "bad.py").write_text("import no_such_package\n")
    (folder / "worse.py").write_text("gradcheck_api = 7\n")
    with pytest.raises(plugins.PluginError) as error:
        plugins.load([Path("plugins")], entry_points=False, strict=True)
    lines = str(error.value).splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["plugin bad", "plugin worse"]


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        (lambda: object(), "has no method manual_seed, leaf, named_parameters"),
        (lambda: 1 / 0, "cannot be used: ZeroDivisionError: division by zero"),
    ],
)
def test_a_framework_that_is_none_is_told_when_it_is_needed(factory, says):
    registry = plugins.load(entry_points=False)
    Register(registry, "mine").framework("odd", factory)
    with pytest.raises(UnknownName, match=says):
        registry.framework("odd")
