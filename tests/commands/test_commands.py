"""`python -m gradcheck`: what each command prints and returns."""

import json
import subprocess
import sys

import pytest

from gradcheck.__main__ import main
from gradcheck.commands import COMMANDS, new

BAD_OP = """
import numpy as np
from gradcheck import hookimpl
from tinytorch import op

@op
def cli_wrong(x):
    return np.sin(x), lambda g: g * np.cos(x) * 1.001

@hookimpl
def gradcheck_register(register):
    register.op("cli_wrong", cli_wrong)
"""

CASES = """
schema: 1
cases:
  right: {op: sin, inputs: {x: [2, 3]}, checks: [gradient]}
  wrong: {op: cli_wrong, inputs: {x: [2, 3]}, checks: [gradient]}
  expected:
    op: cli_wrong
    inputs: {x: [2, 3]}
    checks: [gradient]
    xfail: {check: gradient, finding: wrong_gradient}
  left_out: {op: sin, inputs: {x: [2]}, checks: [gradient], skip: not today}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # commands put the folder on it
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(BAD_OP)
    (tmp_path / "cases.yaml").write_text(CASES)
    return tmp_path


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 2
    out = capsys.readouterr().out
    for name, about in COMMANDS.items():
        assert name in out
        assert about in out


def test_an_unknown_command_is_asked_back(capsys):
    assert main(["chekcs"]) == 2
    assert "unknown command 'chekcs'; did you mean 'checks'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"python -m gradcheck {name}" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys, gradcheck.__main__ as m\nm.main(['--help'])\n"
        "assert not {'numpy', 'yaml', 'pydantic', 'tinytorch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


# --- run -------------------------------------------------------------------------------------


def test_run_prints_outcomes_and_the_failure_text(project, capsys):
    assert main(["run", "cases.yaml"]) == 1
    out = capsys.readouterr().out
    assert "cases.yaml::right::gradient  passed" in out
    assert "cases.yaml:5  wrong::gradient  FAILED" in out
    assert "plugins/mine.py" in out or "cli_wrong" in out
    assert "cases.yaml::expected::gradient  xfailed" in out
    assert "cases.yaml::left_out::gradient  skipped: not today" in out
    assert out.splitlines()[-1] == "1 failed, 1 passed, 1 skipped, 1 xfailed"


@pytest.mark.parametrize("target", ["cases.yaml::right", "cases.yaml::right::gradient"])
def test_run_can_be_narrowed(project, capsys, target):
    assert main(["run", target]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nothing.yaml", "nothing.yaml: file not found; name a YAML file of cases"),
        ("cases.yaml::rigth", "cases.yaml::rigth matches no case; the file has: right (gradient)"),
        ("cases.yaml::right::graph", "cases.yaml::right::graph matches no case"),
    ],
)
def test_run_says_what_is_not_there(project, capsys, target, says):
    assert main(["run", target]) == 2
    assert f"gradcheck: {says}" in capsys.readouterr().err


def test_run_takes_a_folder(project, capsys):
    (project / "sub").mkdir()
    (project / "cases.yaml").rename(project / "sub" / "cases.yaml")
    (project / "sub" / "other.yaml").write_text("a: 1\n")
    assert main(["run", "sub"]) == 1
    out = capsys.readouterr().out
    assert "sub/cases.yaml::right::gradient  passed" in out
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed" in out
    assert main(["run", "plugins"]) == 2
    assert "plugins: no file of cases in this folder" in capsys.readouterr().err
    assert main(["run", "plugins/mine.py"]) == 2
    assert "this is no YAML file of cases" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plugins", "checks", "run", "faults", "schema"])
def test_a_plugin_folder_that_is_not_there_is_a_mistake(project, capsys, command):
    target = ["cases.yaml"] if command == "run" else []
    assert main([command, *target, "--plugins", "nope"]) == 2
    assert "--plugins nope: there is no such folder" in capsys.readouterr().err


def test_errors_of_a_file_do_not_hide_its_good_cases(project, capsys):
    (project / "cases.yaml").write_text(
        "schema: 1\ncases:\n  a: {op: sinn, inputs: {x: [2]}}\n  b: {op: sin, inputs: {x: [2]}}\n"
    )
    assert main(["run", "cases.yaml"]) == 2
    out = capsys.readouterr().out
    assert "cases.yaml:3:" in out
    assert "did you mean 'sin'" in out
    assert "b::gradient  passed" in out


def test_an_xfail_that_finds_something_else_fails(project, capsys):
    text = CASES.replace("finding: wrong_gradient", "finding: not_linear")
    (project / "cases.yaml").write_text(text)
    assert main(["run", "cases.yaml::expected"]) == 1
    assert "xfail expects finding 'not_linear'" in capsys.readouterr().out


# --- plugins, checks, schema -----------------------------------------------------------------


def test_plugins_are_listed_with_source_version_api_and_contributions(project, capsys):
    assert main(["plugins"]) == 0
    out = capsys.readouterr().out
    assert "mine  (folder, API 1)  plugins/mine.py\n  op:         cli_wrong" in out
    assert "basics 0." in out


def test_plugins_as_json(project, capsys):
    (project / "plugins" / "bad.py").write_text("gradcheck_api = 99\n")
    assert main(["plugins", "--json"]) == 1
    listing = json.loads(capsys.readouterr().out)
    by_name = {p["name"]: p for p in listing["plugins"]}
    assert listing["api"] == 1
    assert by_name["mine"]["contributions"] == [
        {
            "kind": "op",
            "name": "cli_wrong",
            "framework": "tinytorch",
            "where": "plugins/mine.py:6",
        }
    ]
    assert by_name["bad"]["failures"] == listing["failures"]
    assert by_name["bad"]["contributions"] == []


def test_checks_are_listed_with_options(project, capsys):
    assert main(["checks"]) == 0
    out = capsys.readouterr().out
    assert "\noverfit: " in out
    assert "\n  below: " in out
    assert main(["checks", "--json"]) == 0
    names = [c["name"] for c in json.loads(capsys.readouterr().out)]
    assert names[:4] == ["graph", "gradient", "overfit", "updates"]


def test_schema_knows_the_plugins_of_the_folder(project, capsys):
    assert main(["schema"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["$schema"].startswith("https://json-schema.org/")
    assert '"cli_wrong"' in text
    assert main(["schema", "-o", "mine.json"]) == 0
    assert (project / "mine.json").read_text() == text


# --- new -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", new.KINDS)
def test_what_new_writes_passes_at_once(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    name = f"my_{kind}"
    assert main(["new", kind, name]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"wrote plugins/{name}.py",
        f"wrote cases/{name}.yaml",
        f"run it:  pytest --gradcheck cases/{name}.yaml",
    ]
    assert main(["plugins"]) == 0
    assert main(["run", f"cases/{name}.yaml"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(" passed")
    assert not last.startswith("0")


def test_a_new_op_is_checked_by_its_case(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["new", "op", "bent"])
    plugin = tmp_path / "plugins" / "bent.py"
    text = plugin.read_text()
    assert "(1 - t * t)" in text
    plugin.write_text(text.replace("(1 - t * t)", "(1 - t)"))
    capsys.readouterr()
    assert main(["run", "cases/bent.yaml"]) == 1
    assert "bent" in capsys.readouterr().out


def test_new_never_overwrites(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "mine.yaml").write_text("precious")
    assert main(["new", "op", "mine"]) == 2
    assert "cases/mine.yaml exists already" in capsys.readouterr().err
    assert not (tmp_path / "plugins").exists()
    assert (tmp_path / "cases" / "mine.yaml").read_text() == "precious"


@pytest.mark.parametrize("name", ["My-Op", "1st", "class", "test_op", "../up"])
def test_new_refuses_names_that_cannot_be_modules(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "op", name]) == 2
    assert repr(name) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_new_refuses_a_name_that_is_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "op", "tanh"]) == 2
    assert capsys.readouterr().err.startswith("gradcheck: op 'tanh' is already registered by ")
    assert not (tmp_path / "plugins").exists()


def test_an_op_with_a_name_of_the_bundled_ones_does_not_take_its_place(tmp_path, monkeypatch):
    from gradcheck.names import load as plugins
    from tinytorch import OPS

    before = OPS["tanh"]
    (tmp_path / "mine.py").write_text(BAD_OP.replace("cli_wrong", "tanh"))
    monkeypatch.chdir(tmp_path)
    registry = plugins.load([tmp_path], entry_points=False)
    assert OPS["tanh"] is before
    assert registry.get("op", "tanh", "tinytorch").value is before
    (said,) = registry.failures
    assert "mine.py:6" in said
    assert "op 'tanh'" in said
    assert "is already registered by plugin tinytorch" in said


def test_a_file_that_cannot_be_written_is_one_line(project, capsys):
    assert main(["schema", "-o", str(project)]) == 2
    assert capsys.readouterr().err == f"gradcheck: {project}: Is a directory\n"
