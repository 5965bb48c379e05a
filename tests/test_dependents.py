"""One cause, one failure: which checks step back behind another, and which never do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.nets import Net
from tests.support.project import Project
from tests.support.results import only
from tests.support.subjects import Bench
from tinytorch import Tensor

PLUGIN = """
import numpy as np
from gradcheck import hookimpl
from tinytorch import Tensor, nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 16), nn.Linear(16, 10)

    def hidden(self, x):
        return self.a(x.reshape(len(x), 64)).relu()

    def forward(self, x):
        return self.b(self.hidden(x))


class Cut(Net):
    def forward(self, x):
        return self.b(Tensor(np.tanh(self.hidden(x).data)))


class Raises(Net):
    def forward(self, x):
        return self.b(x.reshape(len(x), 64))


def factory():
    raise ValueError("sizes must be given")


def forgets(model, batch, loss, optimizer):
    value = loss(model(batch[0]), batch[1])
    value.backward()
    optimizer.step()
    return value


def needs_momentum(params):
    raise RuntimeError("give it a momentum")


@hookimpl
def gradcheck_register(register):
    for name, made in {"net": Net, "cut": Cut, "raises": Raises, "factory": factory}.items():
        register.model(name, made)
    register.step("forgets", lambda m, b, loss: loss(m(b[0]), b[1]), train=forgets)
    register.optimizer("needs_momentum", needs_momentum)
"""

CASES = """
schema: 1
defaults:
  data: {name: digits, batch: 8}
  loss: cross_entropy
  optimizer: {name: adam, lr: 0.01}
cases:
  mine: {%s}
"""


@pytest.fixture
def outcomes(project: Project) -> Any:
    def run(case: str, *arguments: str) -> dict[str, str]:
        project.write("plugins/mine.py", PLUGIN)
        project.write("cases/mine.yaml", CASES % case)
        project.run(
            "--gradcheck", "-p", "no:cacheprovider", "--gradcheck-json", "r.json", *arguments
        )
        entries = json.loads((project.path / "r.json").read_text())["items"]
        return {e["check"]: e["reason"] or e["outcome"] for e in entries}

    return run


def test_a_cut_fails_graph_alone(outcomes: Any) -> None:
    found = outcomes("model: cut, checks: {graph: , gradient: , updates: , overfit: {below: 0.01}}")
    assert found["graph"] == "failed"
    for name in ("gradient", "updates", "overfit"):
        assert found[name].startswith("not judged: graph finds that 2 of 4 parameters get no")
        assert "plugins/mine.py:21" in found[name]


def test_asked_for_alone_a_check_is_judged(outcomes: Any) -> None:
    assert outcomes("model: cut, checks: [graph, updates]", "-k", "updates") == {
        "updates": "failed"
    }
    assert outcomes("model: cut, checks: [updates]") == {"updates": "failed"}


def test_the_option_judges_all(outcomes: Any) -> None:
    found = outcomes("model: cut, checks: [graph, gradient, updates]", "--gradcheck-judge-all")
    assert set(found.values()) == {"failed"}


def test_an_expected_failure_is_judged(outcomes: Any) -> None:
    found = outcomes(
        "model: cut, checks: [graph, updates], xfail: {check: updates, finding: not_moved}"
    )
    assert found["updates"] == "finding not_moved"


def test_another_fault_is_not_hidden_behind_a_cut(outcomes: Any) -> None:
    found = outcomes("model: cut, checks: [graph, updates], step: forgets")
    assert found["updates"] == "failed"


@pytest.mark.parametrize("model", ["raises", "factory"])
def test_what_raises_is_told_once(outcomes: Any, model: str) -> None:
    found = outcomes(f"model: {model}, checks: all")
    assert [n for n, said in found.items() if said == "failed"] == ["graph"]
    assert found["overfit"].startswith("not judged: graph fails for the same reason, at plugins/")


def test_what_raises_when_it_trains_is_told_by_a_check_that_trains(outcomes: Any) -> None:
    found = outcomes("model: net, checks: [graph, updates, overfit], optimizer: needs_momentum")
    assert found["graph"] == "passed"
    assert found["updates"] == "failed"
    assert found["overfit"].startswith("not judged: updates fails for the same reason")


def test_workers_agree(outcomes: Any) -> None:
    found = outcomes("model: cut, checks: [graph, gradient, updates]", "-n", "2")
    assert found["graph"] == "failed"
    assert found["gradient"].startswith("not judged")
    assert found["updates"].startswith("not judged")


def test_a_check_that_raises_alone_does_not_say_that_the_case_cannot_run() -> None:
    class WantsEight(Net):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) != 8:
                raise ValueError("eight samples, please")
            return super().forward(x)

    bench = Bench()
    found = only(bench.run("accumulation", WantsEight))
    assert found.code == "crashed"
    assert "the case itself runs" in found.advice
    assert "accumulation" in found.advice

    class Raises(Net):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("never")

    assert "make the case run" in only(bench.run("accumulation", Raises)).advice
