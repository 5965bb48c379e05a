"""What raises inside a case: user code gives a finding with its line, gradcheck itself a bug."""

import textwrap
from pathlib import Path

import pytest

from gradcheck import plugins
from gradcheck.casefile import load_text
from gradcheck.engine import run_check

PLUGIN = """
    import numpy as np
    from gradcheck import hookimpl
    from tinytorch import nn
    from tinytorch.op import op

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
    def gradcheck_models(register):
        register("wrong", Wrong)
        register("shapes", Shapes)

    @hookimpl
    def gradcheck_ops(register):
        register("inside_numpy", inside_numpy)

    @hookimpl
    def gradcheck_steps(register):
        register("gives_up", step)

    @hookimpl
    def gradcheck_datasets(register):
        register("no_data", Data)
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


def test_a_mistake_of_gradcheck_itself_is_raised(monkeypatch):
    registry = plugins.load(entry_points=False)
    loaded = load_text("schema: 1\ncases:\n  c: {op: sin, inputs: {x: [2]}}\n", registry)
    from gradcheck.checks import gradient

    monkeypatch.setattr(gradient, "look", None)
    with pytest.raises(TypeError):
        run_check(loaded.cases[0], "gradient", registry)
