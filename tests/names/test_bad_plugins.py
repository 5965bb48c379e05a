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
    "import_of_missing_package": (
        "import numpy\nimport no_such_package\n",
        "plugin bad (plugins/bad.py:2): could not be imported: ModuleNotFoundError: No module "
        "named 'no_such_package'; install no_such_package",
    ),
    "error_at_import": (
        "limit = 1\nshare = limit / 0\n",
        "plugin bad (plugins/bad.py:2): could not be imported: ZeroDivisionError: division by "
        "zero; mend this line and run again",
    ),
    "syntax_error": (
        "def gradcheck_ops(register)\n    pass\n",
        "plugin bad (plugins/bad.py:1): could not be imported: SyntaxError: expected ':' "
        "(bad.py, line 1); mend this line and run again",
    ),
    "misspelt_hook": (
        HEAD + "@hookimpl\ndef gradcheck_model(register):\n    pass\n",
        "plugin bad (plugins/bad.py:2): there is no hook 'gradcheck_model'; did you mean "
        "'gradcheck_models'?",
    ),
    "hook_without_mark": (
        "def gradcheck_models(register):\n    pass\n",
        "plugin bad (plugins/bad.py:1): gradcheck_models is not marked, so nothing calls it; put "
        "@hookimpl above it (from gradcheck import hookimpl)",
    ),
    "wrong_signature": (
        HEAD + "@hookimpl\ndef gradcheck_models(registry, config):\n    pass\n",
        "plugin bad (plugins/bad.py:2): gradcheck_models(registry, config) has the wrong "
        "signature; write def gradcheck_models(register): ...",
    ),
    "hook_that_yields": (
        HEAD + "@hookimpl\ndef gradcheck_models(register):\n    yield 'm', object\n",
        "plugin bad (plugins/bad.py:2): gradcheck_models is a generator; make it a plain function "
        "that calls register(name, value)",
    ),
    "hook_that_raises": (
        HEAD + "@hookimpl\ndef gradcheck_models(register):\n    register('m', MyModel)\n",
        "plugin bad (plugins/bad.py:4): gradcheck_models raised NameError: name 'MyModel' is not "
        "defined; mend this line, what the hook registered before it is kept",
    ),
    "instance_instead_of_factory": (
        HEAD + "@hookimpl\ndef gradcheck_models(register):\n    register('m', 17)\n",
        "plugin bad (plugins/bad.py:4): model 'm' is not registered: a model is made by a class or "
        "function, got int; register the class or function that makes one",
    ),
    "model_instead_of_its_class": (
        HEAD
        + "@hookimpl\ndef gradcheck_models(register):\n    from tinytorch import nn\n"
        + "    register('m', nn.Linear(2, 2))\n",
        "plugin bad (plugins/bad.py:5): model 'm' is not registered: a model is made by a class or "
        "function, got Linear; register the class or function that makes one",
    ),
    "script_that_exits": (
        "import sys\nsys.exit(3)\n",
        "plugin bad (plugins/bad.py:2): could not be imported: SystemExit: 3; mend this line and "
        "run again",
    ),
    "check_class_instead_of_object": (
        HEAD
        + "class C:\n    pass\n\n@hookimpl\ndef gradcheck_checks(register):\n"
        + "    register('c', C)\n",
        "plugin bad (plugins/bad.py:7): check 'c' is not registered: a check is an object, got the "
        "class C; register C()",
    ),
    "check_without_run": (
        HEAD
        + "class C:\n    name = 'c'\n\n@hookimpl\ndef gradcheck_checks(register):\n"
        + "    register('c', C())\n",
        "plugin bad (plugins/bad.py:7): check 'c' is not registered: the check has no method run "
        "and no applies; see docs on writing a check",
    ),
    "loss_of_one_argument": (
        HEAD + "@hookimpl\ndef gradcheck_losses(register):\n    register('l', lambda x: x)\n",
        "plugin bad (plugins/bad.py:4): loss 'l' is not registered: a loss is called as "
        "loss(output, target); l does not take two arguments",
    ),
    "sample_inputs_that_are_none": (
        HEAD + "@hookimpl\ndef gradcheck_ops(register):\n    register('o', abs, inputs={'x': 3})\n",
        "plugin bad (plugins/bad.py:4): op 'o' is not registered: inputs.x must be a shape such "
        "as [2, 5], or a mapping such as {shape: [2, 5], low: 0.1}, not 3",
    ),
    "unknown_argument": (
        HEAD + "@hookimpl\ndef gradcheck_ops(register):\n    register('o', abs, input={'x': []})\n",
        "plugin bad (plugins/bad.py:4): op 'o' is not registered: register() of an op has no "
        "argument 'input'; did you mean 'inputs'?",
    ),
    "name_that_is_no_id": (
        HEAD + "@hookimpl\ndef gradcheck_models(register):\n    register('my model', abs)\n",
        "plugin bad (plugins/bad.py:4): model name 'my model' can only have letters, digits, '_', "
        "'.' and '-': it becomes part of test ids",
    ),
    "name_that_is_taken": (
        HEAD + "\n\n@hookimpl\ndef gradcheck_checks(register):\n"
        "    from gradcheck.checks.graph.check import Graph\n    register('graph', Graph())\n",
        "plugin bad (plugins/bad.py:7): check 'graph' (gradcheck/checks/graph/check.py) is already "
        "registered by plugin builtin (gradcheck/checks/graph/check.py); choose another name",
    ),
    "newer_api": (
        "# for the next gradcheck\ngradcheck_api = 2\n",
        "plugin bad (plugins/bad.py:2): it asks for plugin API 2, this gradcheck has 1; install a "
        "newer pytest-gradcheck",
    ),
    "older_api": (
        "gradcheck_api = 0\n",
        "plugin bad (plugins/bad.py:1): it asks for plugin API 0, this gradcheck has 1 to 1; "
        "install a newer version of the plugin",
    ),
    "api_that_is_no_number": (
        "gradcheck_api = '1'\n",
        "plugin bad (plugins/bad.py:1): gradcheck_api must be a whole number, got '1'; write "
        "gradcheck_api = 1",
    ),
    "fault_without_check": (
        HEAD + "@hookimpl\ndef gradcheck_faults(register):\n    register('f', abs)\n",
        "plugin bad (plugins/bad.py:4): fault 'f' is not registered: a fault names the check that "
        "must fail and its finding; add check='...' to register()",
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
    import re

    root = re.escape(str(Path(plugins.__file__).parents[2]))
    return re.sub(rf"{root}/([\w/.]+):\d+", r"\1", sentence)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_is_told_in_one_line(folder, name):
    text, expected = BAD[name]
    (folder / "bad.py").write_text(text)
    registry = plugins.load([Path("plugins")], entry_points=False)
    assert [without_checkout(f) for f in registry.failures] == [expected]
    assert "\n" not in registry.failures[0]
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
