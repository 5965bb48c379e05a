"""Checks in child processes: a death is a finding, and every other item keeps its result."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from gradcheck.isolation.isolation import Isolation
from gradcheck.isolation.job import CannotIsolate, Job, Setup, packed
from gradcheck.names.load import load
from gradcheck.yamlcases.load import load_cases
from tests.support.hostile import items, line_of, write

ROOT = Path(__file__).parents[2]

unix = pytest.mark.skipif(os.name == "nt", reason="signals")

DEADLY = {
    "deref": "ctypes.string_at(0)",
    "aborts": "os.abort()",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "ends": "ctypes.CDLL(None)._exit(0)",
}


@unix
def test_a_crash_is_a_finding_with_its_signal_and_line(project) -> None:
    write(project, {"deref": "ctypes.string_at(0)"}, keys="isolate: true")
    result = project.run("--gradcheck", "--gradcheck-json=r.json")
    result.assert_outcomes(passed=2, failed=1)
    found = items(project.path / "r.json")["deref"]
    (finding,) = found["findings"]
    assert found["outcome"] == "failed"
    assert finding["code"] == "crashed_process"
    assert finding["data"] == {"cause": "SIGSEGV", "exit_status": -signal.SIGSEGV}
    assert finding["where"] == line_of(project, "ctypes.string_at(0)")
    result.stdout.fnmatch_lines(
        [
            "cases/a.yaml:4  deref::gradient  FAILED",
            "  deref ended the process of its check: it died of SIGSEGV (*) in gradient",
            "     at plugins/hostile.py:*   ctypes.string_at(0)",
        ]
    )


@unix
@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
@pytest.mark.parametrize("how", ["key", "option"])
def test_every_other_item_keeps_its_result(project, workers, how) -> None:
    write(project, DEADLY, keys="isolate: true" if how == "key" else "")
    option = () if how == "key" else ("--gradcheck-isolate",)
    run = ["--gradcheck", "--gradcheck-json=r.json", "-p", "no:cacheprovider"]
    result = project.run(*run, *option, *workers)
    assert result.ret == 1
    found = items(project.path / "r.json")
    assert len(found) == 2 * len(DEADLY) + 1
    causes = {n: found[n]["findings"][0]["data"]["cause"] for n in DEADLY}
    assert causes == {"deref": "SIGSEGV", "aborts": "SIGABRT", "killed": "SIGKILL", "ends": "exit"}
    assert {found[n]["outcome"] for n in found if n not in DEADLY} == {"passed"}
    assert json.loads((project.path / "r.json").read_text())["complete"] is True


@pytest.mark.slow
def test_the_entries_equal_those_of_the_same_process(project) -> None:
    """Shipped cases, correct and broken: measurements, findings, figures and notes, bit for bit."""
    files = [
        str(ROOT / "cases" / name) for name in ("ops/loss.yaml", "xor.yaml", "broken/ops.yaml")
    ]
    for name, option in (("here", ()), ("apart", ("--gradcheck-isolate",))):
        project.run(
            "--gradcheck", f"--gradcheck-json={name}.json", f"--rootdir={ROOT}", *option, *files
        )
    here, apart = (
        [
            {k: v for k, v in item.items() if k != "seconds"}
            for item in json.loads((project.path / f"{name}.json").read_text())["items"]
        ]
        for name in ("here", "apart")
    )
    assert len(here) > 20
    assert apart == here


@unix
@pytest.mark.slow
def test_a_timeout_ends_c_code_and_code_that_swallows_everything(project) -> None:
    swallows = (
        "while True:\n    try:\n        time.sleep(0.1)\n    except BaseException:\n        pass"
    )
    bodies = {"held": "sum(range(10**11))", "swallows": swallows}
    write(project, bodies, keys="isolate: true, timeout: 1")
    project.run("--gradcheck", "--gradcheck-json=r.json").assert_outcomes(passed=3, failed=2)
    found = items(project.path / "r.json")
    for name in bodies:
        (finding,) = found[name]["findings"]
        assert finding["code"] == "timeout"
    assert found["held"]["findings"][0]["where"] == line_of(project, "sum(range(")


@unix
@pytest.mark.slow
def test_damage_that_shows_in_a_later_check_is_never_green_and_says_what_is_known(
    project, tmp_path
) -> None:
    """The process dies in the second check, which runs to its end alone."""
    mark = tmp_path / "first"
    body = f"mark = {str(mark)!r}\nif os.path.exists(mark):\n    os.remove(mark)\n    os.abort()"
    write(project, {"innocent": body})
    text = (project.path / "plugins" / "hostile.py").read_text()
    leaves = f"def honest(x):\n    import atexit\n    open({str(mark)!r}, 'a').close()\n"
    project.write("plugins/hostile.py", text.replace("def honest(x):\n", leaves))
    result = project.run("--gradcheck", "--gradcheck-isolate", "--gradcheck-json=r.json")
    result.assert_outcomes(passed=2, failed=1)
    (finding,) = items(project.path / "r.json")["innocent"]["findings"]
    assert "runs to its end alone" in finding["message"]
    assert "before_0::gradient" in finding["advice"]


@unix
@pytest.mark.slow
def test_a_case_that_ended_a_run_is_isolated_in_the_next(project) -> None:
    write(project, {"deref": "ctypes.string_at(0)"})
    first = project.pytester.runpytest_subprocess("--gradcheck")
    assert first.ret < 0
    result = project.run("--gradcheck", "--gradcheck-json=r.json")
    result.assert_outcomes(passed=2, failed=1)
    found = items(project.path / "r.json")["deref"]
    assert found["findings"][0]["code"] == "crashed_process"
    assert any("an earlier run died" in note for note in found["notes"])
    assert not items(project.path / "r.json")["after"]["notes"]


@unix
@pytest.mark.slow
def test_a_lost_worker_tells_the_signal_and_the_line(project) -> None:
    pytest.importorskip("xdist")
    write(project, {"deref": "ctypes.string_at(0)"})
    project.run("--gradcheck", "--gradcheck-json=r.json", "-n", "2")
    (finding,) = items(project.path / "r.json")["deref"]["findings"]
    assert finding["code"] == "worker_lost"
    assert finding["lines"][0] == "Fatal Python error: Segmentation fault"
    assert finding["where"] == line_of(project, "ctypes.string_at(0)")


@pytest.mark.slow
def test_names_of_a_conftest_reach_the_child(project) -> None:
    project.write(
        "cases/conftest.py",
        """
        from tinytorch import op

        @op
        def local(x):
            return x * x, lambda g: 2 * x * g

        def pytest_gradcheck_configure(register):
            register.op("local", local)
        """,
    )
    project.write(
        "cases/a.yaml",
        "schema: 1\ncases:\n  local: {op: local, inputs: {x: [2]}, isolate: true}\n",
    )
    project.run("--gradcheck").assert_outcomes(passed=1)
    text = (project.path / "cases" / "conftest.py").read_text()
    project.write(
        "cases/conftest.py", text.replace("configure(register)", "configure(config, register)")
    )
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*takes `config`, and a child process has none*"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.slow
def test_what_a_check_prints_is_shown_and_a_bug_shows_its_traceback(project) -> None:
    write(project, {"talks": "print('from', 'inside')"}, keys="isolate: true")
    project.run("--gradcheck", "-rP").stdout.fnmatch_lines(["*from inside*"])
    project.cases(one="checks: {broken: }\nisolate: true")
    project.write("plugins/hostile.py", "")
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TypeError: object is not a JSON value*"])


def test_what_cannot_be_sent_is_told() -> None:
    folder = ROOT / "cases"
    case = load_cases(folder / "xor.yaml", load(), ROOT).cases[0]
    assert packed(Job(case, "gradient", 0))
    with pytest.raises(CannotIsolate, match="cannot be sent to another process"):
        packed(Job(case.model_copy(update={"args": {"f": lambda x: x}}), "gradient", 0))


@pytest.mark.slow
def test_a_process_is_used_again_and_left_when_asked() -> None:
    import sys

    case = load_cases(ROOT / "cases" / "ops" / "loss.yaml", load(), ROOT).cases[0]
    setup = Setup(path=tuple(sys.path), plugin_folders=())
    isolation = Isolation()
    try:
        first = isolation.run(setup, Job(case, "gradient", 0), fresh=False)
        child = isolation._child
        again = isolation.run(setup, Job(case, "gradient", 0), fresh=False)
        assert isolation._child is child
        assert again == first
        isolation.run(setup, Job(case, "gradient", 0), fresh=True)
        assert isolation._child is None
    finally:
        isolation.close()
