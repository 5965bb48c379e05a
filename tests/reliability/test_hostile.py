"""Hostile ops, data sets, steps and plugins: findings with their line, never a green exit, and
every honest case beside them keeps its result."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.hostile import items, line_of, write

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")

ENDS = {
    "skips": "pytest.skip('no')",
    "expects": "pytest.xfail('no')",
    "fails": "pytest.fail('no')",
    "leaves": "sys.exit(0)",
    "ends": "os._exit(0)",
    "interrupts": "raise KeyboardInterrupt('mine')",
    "generator": "raise GeneratorExit('mine')",
    "base": "raise type('Mine', (BaseException,), {})('mine')",
    "recurses": "def again(): return again()\nagain()",
    "memory": "raise MemoryError('mine')",
    "stops": "raise StopIteration('mine')",
    "surrogate": "raise ValueError('\\ud800')",
}
"""What ends or skips a run, in an op: the finding is `crashed`."""

CHANGES = {
    "replaces": "np.exp = np.sin",
    "parses": "json.dumps = str",
    "opens": "import builtins; builtins.open = None",
    "moves": "os.chdir('/')",
    "closes": "sys.stdout.close()",
    "limits": "sys.setrecursionlimit(250)",
    "ignores": "signal.signal(signal.SIGALRM, signal.SIG_IGN)",
    "blocks": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})",
}
"""What changes the process: a finding for functions, a note for the rest."""

WORKERS = [
    pytest.param((), id="serial"),
    pytest.param(("-n", "2"), id="n2", marks=pytest.mark.slow),
    pytest.param(("--gradcheck-isolate",), id="isolated", marks=pytest.mark.slow),
]


def run(project, *args: str) -> tuple[int, dict, dict]:
    """(exit status, items by case, the whole report)."""
    result = project.run("--gradcheck", "--gradcheck-json=r.json", "-p", "no:cacheprovider", *args)
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    path = project.path / "r.json"
    return result.ret, items(path), json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("how", WORKERS)
def test_what_would_end_the_run_is_a_finding_at_its_line(project, how) -> None:
    write(project, ENDS)
    status, found, whole = run(project, *how)
    assert (status, whole["complete"], len(found)) == (1, True, 2 * len(ENDS) + 1)
    for name, body in ENDS.items():
        (finding,) = found[name]["findings"]
        assert (found[name]["outcome"], finding["code"]) == ("failed", "crashed"), name
        assert finding["where"] == line_of(
            project, body.splitlines()[0].partition("def ")[0] or "return again()"
        ), name
    assert {found[n]["outcome"] for n in found if n not in ENDS} == {"passed"}


@pytest.mark.parametrize("how", WORKERS)
def test_a_changed_process_is_put_back_and_told(project, how) -> None:
    write(project, CHANGES)
    here = os.getcwd()
    status, found, whole = run(project, *how)
    assert (status, whole["complete"], len(found)) == (1, True, 2 * len(CHANGES) + 1)
    for name in ("replaces", "parses", "opens"):
        codes = [f["code"] for f in found[name]["findings"]]
        assert codes[:1] == ["replaced_function"], name
    for name in ("moves", "closes", "limits", "ignores", "blocks"):
        assert found[name]["outcome"] == "passed", name
        assert found[name]["notes"], name
    honest = [found[n] for n in found if n not in CHANGES]
    assert {i["outcome"] for i in honest} == {"passed"}
    assert not any(i["notes"] for i in honest)
    assert len({json.dumps(i["measurements"]) for i in honest}) == 1
    assert os.getcwd() == here


MODEL = """
import os, sys
import numpy as np
import pytest
from gradcheck import hookimpl
from tinytorch import nn

class Data:
    def __len__(self):
        return 8

    def __getitem__(self, i):
        {data}
        return np.ones(4, np.float32), np.int64(0)

def step(model, batch, loss):
    {step}
    return loss(model(batch[0]), batch[1])

@hookimpl
def gradcheck_register(register):
    register.dataset("data", Data)
    register.model("line", lambda: nn.Linear(4, 2))
    register.step("step", step)
"""


@pytest.mark.parametrize("where", ["data", "step"])
@pytest.mark.parametrize("body", ["pytest.skip('no')", "sys.exit(0)", "os._exit(0)"])
def test_data_and_steps_too(project, where: str, body: str) -> None:
    filled = {"data": "pass", "step": "pass", where: body}
    project.write("plugins/hostile.py", MODEL.format(**filled))
    project.write(
        "cases/a.yaml",
        """
        schema: 1
        cases:
          m: {model: line, data: {name: data, batch: 4}, loss: cross_entropy, step: step,
              optimizer: {name: sgd, lr: 0.1}, checks: [graph]}
        """,
    )
    status, found, _ = run(project)
    assert status == 1
    assert found["m"]["outcome"] == "failed"
    assert found["m"]["findings"][0]["where"] == line_of(project, body)


@pytest.mark.parametrize("at", ["import", "hook"])
@pytest.mark.parametrize(
    "body",
    [
        "pytest.skip('no', allow_module_level=True)",
        "sys.exit(0)",
        "os._exit(0)",
        "raise KeyboardInterrupt",
    ],
)
def test_a_plugin_cannot_end_or_empty_the_run(project, at: str, body: str) -> None:
    head = "import os, sys, pytest\nfrom gradcheck import hookimpl\n"
    hook = "@hookimpl\ndef gradcheck_register(register):\n    "
    text = f"{head}{body}\n" if at == "import" else f"{head}{hook}{body}\n"
    project.write("plugins/worse.py", text)
    project.cases(one="checks: {planned: }")
    result = project.run("--gradcheck", "--gradcheck-json=r.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["plugin failure: plugin worse (plugins/worse.py:*): *"])


def test_a_hook_that_breaks_one_case_leaves_the_others(project) -> None:
    project.cases(one="checks: {planned: }", two="checks: {planned: }", three="checks: {planned: }")
    project.write(
        "conftest.py",
        """
        def pytest_gradcheck_modify_case(case):
            if case.name == "one":
                return "a text"
            if case.name == "two":
                raise ValueError("no")
        """,
    )
    result = project.run("--gradcheck")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*conftest.py:2: *modify_case returned a str, not a Case or None for case one*",
            "*conftest.py:2: *modify_case raised ValueError: no for case two*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


@pytest.mark.slow
def test_what_nothing_can_stop_ends_the_process_with_its_place_and_the_next_run_isolates_it(
    project,
) -> None:
    held = "sum(range(10**11))"
    swallows = (
        "while True:\n    try:\n        time.sleep(0.1)\n    except BaseException:\n        pass"
    )
    for body, entry in ((held, False), (swallows, True)):
        write(project, {"stuck": body}, keys="timeout: 1")
        first = project.pytester.runpytest_subprocess(
            "--gradcheck", "--gradcheck-json=r.json", timeout=120
        )
        assert first.ret == 1
        report = json.loads((project.path / "r.json").read_text())
        assert report["complete"] is False
        found = items(project.path / "r.json")
        assert found["before_0"]["outcome"] == "passed"
        assert ("stuck" in found) is entry  # no thread of Python runs while C code holds it
        assert "hostile.py" in first.stderr.str()
        status, found, _ = run_with_cache(project)
        assert status == 1
        assert found["stuck"]["findings"][0]["code"] == "timeout"
        assert found["after"]["outcome"] == "passed"


def run_with_cache(project) -> tuple[int, dict, dict]:
    result = project.run("--gradcheck", "--gradcheck-json=r.json")
    path = project.path / "r.json"
    return result.ret, items(path), json.loads(path.read_text("utf-8"))
