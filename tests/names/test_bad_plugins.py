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
    "import_of_missing_package": (
        "import numpy\nimport no_such_package\n",
        "plugin bad (plugins/bad.py:2): could not be imported: ModuleNotFoundError: No module "
        "named 'no_such_package'; install no_such_package",
    ),
    "error_at_import": (
        "limit = 1\nshare = limit / 0\n",
        "plugin bad (plugins/bad.py:2): could not be imported: ZeroDivisionError: division by "
        "zero; fix this line and run again",
    ),
    "syntax_error": (
        "def gradcheck_register(register)\n    pass\n",
        "plugin bad (plugins/bad.py:1): could not be imported: SyntaxError: expected ':' "
        "(bad.py, line 1); fix this line and run again",
    ),
    "misspelt_hook": (
        HEAD + "@hookimpl\ndef gradcheck_registers(register):\n    pass\n",
        "plugin bad (plugins/bad.py:2): there is no hook 'gradcheck_registers'; did you mean "
        "'gradcheck_register'?",
    ),
    "marked_function_of_another_name": (
        HEAD + "@hookimpl\ndef my_models(register):\n    pass\n",
        "plugin bad (plugins/bad.py:2): there is no hook 'my_models'; did you mean "
        "'gradcheck_register'?",
    ),
    "former_hook": (
        HEAD + "@hookimpl\ndef gradcheck_ops(register):\n    register('o', abs)\n",
        "plugin bad (plugins/bad.py:2): gradcheck_ops is not called any more; write one def "
        "gradcheck_register(register) that calls register.op(name, ...)",
    ),
    "former_hooks": (
        HEAD
        + "@hookimpl\ndef gradcheck_steps(register):\n    pass\n\n"
        + "@hookimpl\ndef gradcheck_losses(register):\n    pass\n",
        "plugin bad (plugins/bad.py:6): gradcheck_losses and gradcheck_steps are not called any "
        "more; write one def gradcheck_register(register) that calls register.loss(name, ...), "
        "register.step(name, ...)",
    ),
    "hook_without_mark": (
        "def gradcheck_register(register):\n    pass\n",
        "plugin bad (plugins/bad.py:1): gradcheck_register is not marked, so nothing calls it; "
        "put @hookimpl above it (from gradcheck import hookimpl)",
    ),
    "wrong_signature": (
        HEAD + "@hookimpl\ndef gradcheck_register(registry, config):\n    pass\n",
        "plugin bad (plugins/bad.py:2): gradcheck_register(registry, config) has the wrong "
        "signature; write def gradcheck_register(register): ...",
    ),
    "hook_that_yields": (
        HOOK + "    yield 'm', object\n",
        "plugin bad (plugins/bad.py:2): gradcheck_register is a generator; make it a plain "
        "function that calls register.model(...)",
    ),
    "hook_that_raises": (
        HOOK + "    register.model('m', MyModel)\n",
        "plugin bad (plugins/bad.py:4): gradcheck_register raised NameError: name 'MyModel' is not "
        "defined; fix this line; what the hook registered before it is kept",
    ),
    "instance_instead_of_factory": (
        HOOK + "    register.model('m', 17)\n",
        "plugin bad (plugins/bad.py:4): model 'm' is not registered: a model is made by a class or "
        "function, got int; register the class or function that makes one",
    ),
    "model_instead_of_its_class": (
        HOOK + "    from tinytorch import nn\n    register.model('m', nn.Linear(2, 2))\n",
        "plugin bad (plugins/bad.py:5): model 'm' is not registered: a model is made by a class or "
        "function, got Linear; register the class or function that makes one",
    ),
    "script_that_exits": (
        "import sys\nsys.exit(3)\n",
        "plugin bad (plugins/bad.py:2): could not be imported: SystemExit: 3; fix this line and "
        "run again",
    ),
    "check_class_instead_of_object": (
        HEAD
        + "class C:\n    pass\n\n@hookimpl\ndef gradcheck_register(register):\n"
        + "    register.check('c', C)\n",
        "plugin bad (plugins/bad.py:7): check 'c' is not registered: a check is an object, got the "
        "class C; register C()",
    ),
    "check_without_run": (
        HEAD
        + "class C:\n    name = 'c'\n\n@hookimpl\ndef gradcheck_register(register):\n"
        + "    register.check('c', C())\n",
        "plugin bad (plugins/bad.py:7): check 'c' is not registered: the check has no method run "
        "and no applies; see docs on writing a check",
    ),
    "loss_of_one_argument": (
        HOOK + "    register.loss('l', lambda x: x)\n",
        "plugin bad (plugins/bad.py:4): loss 'l' is not registered: a loss is called as "
        "loss(output, target); l does not take two arguments",
    ),
    "sample_inputs_that_are_none": (
        HOOK + "    register.op('o', abs, inputs={'x': 3})\n",
        "plugin bad (plugins/bad.py:4): op 'o' is not registered: input 'x' must be a shape such "
        "as [2, 3] or a dict such as {'shape': [2, 3], 'low': 0.5}, got 3",
    ),
    "unknown_argument": (
        HOOK + "    register.op('o', abs, input={'x': []})\n",
        "plugin bad (plugins/bad.py:4): gradcheck_register raised TypeError: Register.op() got an "
        "unexpected keyword argument 'input'; fix this line; what the hook registered before it "
        "is kept",
    ),
    "name_that_is_not_text": (
        HOOK + "    register.op(abs, 'o')\n",
        "plugin bad (plugins/bad.py:4): op <built-in function abs> is not registered: the name "
        "must be text, got builtin_function_or_method; call register.op('name', ...)",
    ),
    "framework_that_is_not_a_name": (
        HOOK + "    register.op('o', abs, framework=abs)\n",
        "plugin bad (plugins/bad.py:4): op 'o' is not registered: framework must be a registered "
        "name, got builtin_function_or_method",
    ),
    "name_that_is_no_id": (
        HOOK + "    register.model('my model', abs)\n",
        "plugin bad (plugins/bad.py:4): model name 'my model' can only have letters, digits, '_', "
        "'.' and '-': it becomes part of test ids",
    ),
    "name_that_is_taken": (
        HOOK + "    from gradcheck.checks.graph.check import Graph\n"
        "    register.check('graph', Graph())\n",
        "plugin bad (plugins/bad.py:5): check 'graph' (gradcheck/checks/graph/check.py) is already "
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
        HOOK + "    register.fault('f', abs, check=None, finding='wrong_gradient')\n",
        "plugin bad (plugins/bad.py:4): fault 'f' is not registered: check must be the name of a "
        "check, got NoneType",
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
def test_a_bad_plugin_is_told_in_one_line(folder, name):
    text, expected = BAD[name]
    (folder / "bad.py").write_text(text)
    registry = plugins.load([Path("plugins")], entry_points=False)
    (failure,) = registry.failures
    # Newer versions of Python add a suggestion to their TypeError.
    assert without_checkout(failure).replace(". Did you mean 'inputs'?", "") == expected
    assert "\n" not in failure
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
