"""What raises inside a case: user code gives a finding with its line, gradcheck itself a bug."""

import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

import gradcheck
from gradcheck.crash import where_now
from gradcheck.engine import run_check
from gradcheck.names import load as plugins
from gradcheck.yamlcases.load import load_text

PLUGIN = """
    import numpy as np
    from gradcheck import hookimpl
    from tinytorch import nn
    from tinytorch import op

    class Wrong(nn.Module):
        def forward(self, x):
            return self.missing(x)

    class Shapes(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x)

    @op
    def inside_numpy(x):
        return np.concatenate([x, "text"]), lambda g: g

    def step(model, batch, loss):
        raise RuntimeError("the step gave up\\nhere")

    class Data:
        def __len__(self):
            return 32

        def __getitem__(self, i):
            return {}["no such key"]

    @hookimpl
    def gradcheck_register(register):
        register.model("wrong", Wrong)
        register.model("shapes", Shapes)
        register.op("inside_numpy", inside_numpy)
        register.step("gives_up", step)
        register.dataset("no_data", Data)
"""

MODEL = "{{model: {}, data: {{name: {}, batch: 4}}, loss: cross_entropy{}, checks: [graph]}}"


@pytest.mark.parametrize(
    ("case", "says", "line"),
    [
        (MODEL.format("wrong", "iris", ""), "wrong raised AttributeError", "self.missing(x)"),
        (MODEL.format("shapes", "iris", ""), "shapes raised ShapeError", "return self.fc(x)"),
        (MODEL.format("shapes", "no_data", ""), "raised KeyError", '{}["no such key"]'),
        (
            MODEL.format("shapes", "iris", ", step: gives_up"),
            "raised RuntimeError: the step gave up here",
            "raise RuntimeError",
        ),
        (
            "{op: inside_numpy, inputs: {x: [2]}, checks: [gradient]}",
            "inside_numpy raised",
            "np.concatenate",
        ),
    ],
)
def test_an_error_in_the_users_code_names_his_line(tmp_path, monkeypatch, case, says, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(textwrap.dedent(PLUGIN))
    registry = plugins.load([Path("plugins")])
    assert registry.failures == []
    loaded = load_text(f"schema: 1\ncases:\n  c: {case}\n", registry)
    assert loaded.errors == ()
    (only,) = loaded.cases
    result = run_check(only, next(iter(only.checks)), registry)
    (finding,) = result.findings
    assert finding.code == "crashed"
    assert says in finding.message
    assert "\n" not in finding.message
    assert finding.where.startswith("plugins/mine.py:")
    assert line in finding.lines[0]


def crash_of(case: str, check: str):
    (finding,) = result_of(case, check).findings
    return finding


def result_of(case: str, check: str):
    registry = plugins.load([Path("plugins")])
    loaded = load_text(f"schema: 1\ncases:\n  c: {case}\n", registry, file="cases/a.yaml")
    assert loaded.errors == ()
    return run_check(loaded.cases[0], check, registry)


MLP = "{{model: mlp, args: {{sizes: [64, 10]}}, data: digits, loss: cross_entropy, {}}}"


@pytest.mark.parametrize(
    ("case", "check", "says"),
    [
        (
            "{op: softmax, inputs: {x: [2, 3]}, args: {dim: 7}}",
            "gradient",
            "softmax raised ShapeError: op softmax cannot be applied to shapes x (2, 3), dim=7: "
            "dim 7 is out of range for 2 axes",
        ),
        (
            "{op: softmax, inputs: {x: [2, 3]}, args: {dim: last}}",
            "gradient",
            "softmax raised TypeError: dim must be an integer, got 'last'",
        ),
        (
            MLP.format("optimizer: {name: adam, lr: '0.1'}, checks: [overfit]"),
            "overfit",
            "mlp raised OptimizerError: Adam needs lr >= 0, got '0.1'",
        ),
        (
            MLP.format("checks: {reference: {framework: jax}}"),
            "reference",
            "no framework is called 'jax'; there are: ",
        ),
    ],
)
def test_what_no_line_of_code_is_to_blame_for_is_the_fault_of_the_case(case, check, says):
    finding = crash_of(case, check)
    assert finding.message.startswith(says)
    assert finding.where == "cases/a.yaml:3"
    assert finding.lines == ()
    assert finding.advice == "correct the case; nothing can be checked until it runs"


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("{op: tanh, inputs: {x: [0, 3]}}", "x of tanh is empty (shape (0, 3))"),
        ("{op: sum, inputs: {x: [2, 0]}}", "x of sum is empty (shape (2, 0))"),
    ],
)
def test_an_empty_input_is_a_sentence(case, says):
    result = result_of(case, "gradient")
    assert result.outcome == "skipped"
    assert result.reason == f"{says}: there is no gradient to check"


def running(file: Path, name: str, then: str = "sys._getframe()"):
    """A function on line 4 of `file` that returns the running frame, or that of what it calls."""
    names = {"sys": sys}
    exec(compile(f"\n\ndef {name}(then=None):\n    return {then}\n", str(file), "exec"), names)
    return names[name]


def test_a_time_limit_names_a_line_of_the_user_or_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = Path(gradcheck.__file__).parent
    inner = running(home / "numerics" / "local.py", "inner")
    bundled = running(home.parent / "tinytorch" / "operation.py", "bundled", "then()")
    model = running(tmp_path / "plugins" / "model.py", "model", "then()")
    engine = running(home / "engine.py", "engine", "then()")
    runner = running(tmp_path / "runner.py", "runner", "then()")
    assert where_now(runner(partial(engine, inner))) is None
    assert where_now(engine(partial(model, partial(bundled, inner)))) == "plugins/model.py:4"


def test_a_mistake_of_gradcheck_itself_is_raised(monkeypatch):
    registry = plugins.load(entry_points=False)
    loaded = load_text("schema: 1\ncases:\n  c: {op: sin, inputs: {x: [2]}}\n", registry)
    from gradcheck.checks.gradient import check as gradient

    monkeypatch.setattr(gradient, "examine_declared", None)
    with pytest.raises(TypeError):
        run_check(loaded.cases[0], "gradient", registry)
