"""Workers in folders of their own, as on other machines: the same verdicts, the same words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradcheck.in_pytest.machines import distant, machine_of

pytest.importorskip("xdist")

LONGEST = 100
"""Seconds after which the servers are stopped, so that no failing test waits for ever."""

PLUGIN = """
from gradcheck import hookimpl
from tinytorch import Tensor, nn
from tinytorch import op


@op
def half(x):
    return x * x, lambda g: g * x


@op
def stumbles(x):
    scale = float(open("scale.txt").read())
    raise RuntimeError(f"no scale of {scale}")


class Rebuilds(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 8)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        h = self.first(x.flatten(1))
        h = Tensor(h.data.reshape(-1, 8))
        return self.last(h)


@hookimpl
def gradcheck_register(register):
    register.op("half", half)
    register.op("stumbles", stumbles)
    register.model("rebuilds", Rebuilds)
"""

CASES = """
schema: 1
cases:
  tanh:
    op: tanh
    inputs: {x: [2, 3]}
    seed: 3
  half:
    op: half
    inputs: {x: [2, 3]}
    checks: {gradient: }
  stumbles:
    op: stumbles
    inputs: {x: [2]}
    checks: {gradient: }
  rebuilds:
    model: rebuilds
    data: {name: digits, batch: 8}
    loss: cross_entropy
    checks: {graph: , gradient: }
  known:
    op: half
    inputs: {x: [2]}
    checks: {gradient: }
    xfail: {check: gradient, finding: wrong_gradient}
  left:
    op: tanh
    inputs: {x: [2]}
    skip: not today
"""


@pytest.fixture
def faulty(project):
    """Checks of every outcome, whose texts name lines of the user's code; and a broken plugin."""
    project.write("plugins/faulty.py", PLUGIN)
    project.write("plugins/broken.py", "import no_such_module\n")
    project.write("cases/faulty.yaml", CASES)
    project.write("cases/wrong.yaml", "schema: 1\ncases: {one: {opp: half}}\n")
    project.write("scale.txt", "2.5")  # user code may open files from where pytest was started
    return project


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two execnet servers on the loopback, each with a working folder of its own."""
    servers: list[subprocess.Popen[bytes]] = []
    timer = threading.Timer(LONGEST, lambda: [server.kill() for server in servers])
    timer.start()
    try:
        outputs = []
        for name in ("one", "two"):
            folder = tmp_path_factory.mktemp(f"machine-{name}")
            outputs.append(folder / "output.txt")
            command = [sys.executable, "-u", "-m", "execnet.script.socketserver", "127.0.0.1:0"]
            with outputs[-1].open("wb") as output:
                servers.append(subprocess.Popen(command, cwd=folder, stdout=output, stderr=output))
        yield [f"socket=127.0.0.1:{port_in(output, timer)}" for output in outputs]
    finally:
        timer.cancel()
        for server in servers:
            server.kill()
            server.wait()


def port_in(output: Path, timer: threading.Timer) -> int:
    """The port that a server says it listens at."""
    while timer.is_alive():
        found = re.search(r"Accept loop \('127\.0\.0\.1', (\d+)\)", output.read_text())
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise AssertionError(f"the server did not start: {output.read_text()}")


def report(project, name: str, *args: str) -> tuple[list[dict], str]:
    """The items of the JSON report, without their times, and what the terminal said."""
    path = project.path / name
    result = project.run("--gradcheck", f"--gradcheck-json={path}", "-p", "no:cacheprovider", *args)
    items = json.loads(path.read_text())["items"]
    return [{k: v for k, v in i.items() if k != "seconds"} for i in items], result.stdout.str()


def sent(project, tx: list[str]) -> list[str]:
    specs = [word for spec in tx for word in ("--tx", spec)]
    return ["--dist", "load", *specs, "--rsyncdir", str(project.path)]


def failure_texts(output: str) -> set[str]:
    """The lines of all failures, the re-run lines among them; without the worker's own."""
    between = output.partition("= FAILURES =")[2].partition("= gradcheck =")[0]
    return {line for line in between.splitlines() if line.startswith(("cases/", "  "))}


def test_two_machines_equal_a_serial_run(faulty, machines: list[str]) -> None:
    serial, serial_output = report(faulty, "serial.json")
    spread, output = report(faulty, "spread.json", *sent(faulty, machines))
    assert {"[gw0] ", "[gw1] "} == set(re.findall(r"^\[gw\d\] ", output, re.MULTILINE))
    outcomes = {i["nodeid"].partition("::")[2]: i["outcome"] for i in serial}
    assert outcomes["tanh::gradient"] == "passed"
    assert outcomes["half::gradient"] == outcomes["rebuilds::graph"] == "failed"
    assert outcomes["known::gradient"] == "xfailed"
    assert outcomes["left::gradient"] == "skipped"
    assert outcomes["case-file"] == "error"
    assert spread == serial
    assert (
        failure_texts(output)
        >= failure_texts(serial_output)
        > {'  re-run: pytest --gradcheck "cases/faulty.yaml::half::gradient" --gradcheck-seed 0'}
    )
    assert "at plugins/faulty.py:26   h = Tensor(h.data.reshape(-1, 8))" in output
    assert "stumbles raised RuntimeError: no scale of 2.5" in output
    assert output.count("plugin failure: plugin broken (plugins/broken.py:1)") == 1


def test_a_run_from_a_folder_below_reads_as_from_there(faulty, machines, monkeypatch) -> None:
    monkeypatch.chdir(faulty.path / "cases")
    named = str(faulty.path / "cases" / "faulty.yaml")
    serial, _ = report(faulty, "serial.json", named)
    spread, output = report(faulty, "spread.json", *sent(faulty, machines), named)
    assert spread == serial
    assert 're-run: pytest --gradcheck "faulty.yaml::half::gradient"' in output


@pytest.mark.parametrize("tx", [["2*popen"], ["popen//chdir={}/one", "popen//chdir={}/two"]])
def test_processes_here_equal_a_serial_run(faulty, tx: list[str], tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("one", "two"):
        (elsewhere / name).mkdir()
    serial, serial_output = report(faulty, "serial.json")
    spread, output = report(
        faulty, "spread.json", *sent(faulty, [spec.format(elsewhere) for spec in tx])
    )
    assert spread == serial
    assert failure_texts(output) >= failure_texts(serial_output)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["cases"], "'cases' means nothing to the workers of --tx*write */cases in full*"),
        (["--gradcheck-html", "cases/a.yaml"], "'cases/a.yaml' means nothing*join it to the*'='*"),
        (["--rsyncdir=."], "*send it with --rsyncdir /* (the full path, with a blank, not '=')"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(project, given: list[str], said: str) -> None:
    project.cases(one="checks: {planned: }")
    result = project.run("--gradcheck", "--dist", "load", "--tx", "socket=127.0.0.1:1", *given)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


def test_the_values_of_tx() -> None:
    assert [distant(s) for s in ("popen", "3*popen", "popen//id=a")] == [False] * 3
    assert [distant(s) for s in ("popen//chdir=a", "2*socket=a:1", "ssh=a")] == [True] * 3
    assert machine_of("popen") == machine_of("popen//id=gw1//chdir=a")
    assert machine_of("socket=a:1//id=gw0") == machine_of("2*socket=a:2")
    assert machine_of("socket=a:1") != machine_of("socket=b:1")
    assert machine_of("ssh=a//chdir=x") == machine_of("ssh=a//id=gw3") != machine_of("ssh=b")
