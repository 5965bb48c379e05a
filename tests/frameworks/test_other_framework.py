"""The checks know no framework: they find the same faults in one with quite other habits."""

import sys
from pathlib import Path

import pytest

from gradcheck.testing import Kit
from tests.support.results import codes

HERE = Path(__file__).parent

MODEL = """
framework: oddgrad
model: {model}
args: {{inputs: 2, hidden: 8}}
data: {{name: waves, batch: 16}}
loss: squared_error
optimizer: {{name: descent, lr: {lr}}}
checks:
  graph:
  gradient:
  overfit: {{steps: 400, below: 0.05}}
  updates:
"""


@pytest.fixture
def kit(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    for name in ("adapter", "oddgrad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import adapter

    kit = Kit(entry_points=False)
    kit.register(adapter, "oddgrad")
    assert kit.failures == []
    return kit


def test_a_right_model_passes_every_check(kit):
    results = kit.run_case(MODEL.format(model="net", lr=0.2))
    assert {name: (r.outcome, codes(r)) for name, r in results.items()} == {
        name: ("passed", []) for name in ("graph", "gradient", "overfit", "updates")
    }


def test_coarse_gradients_are_owned_up_to(kit):
    results = kit.run_case(MODEL.format(model="net", lr=0.2))
    assert any("float32" in note for note in results["gradient"].notes)


@pytest.mark.parametrize("op", ["affine", "tanh"])
def test_a_right_op_passes(kit, op):
    inputs = {"affine": "{x: [3, 2], w: [2, 4], b: [4]}", "tanh": "{x: [3, 4]}"}[op]
    result = kit.run_case(f"framework: oddgrad\nop: {op}\ninputs: {inputs}")["gradient"]
    assert (result.outcome, codes(result)) == ("passed", [])


def test_a_wrong_op_is_found(kit):
    case = "framework: oddgrad\nop: wrong_tanh\ninputs: {x: [3, 4]}"
    result = kit.run_case(case)["gradient"]
    assert result.outcome == "failed"
    assert result.findings[0].parameter == "x"


def test_a_wrong_op_inside_a_model_is_found(kit):
    results = kit.run_case(MODEL.format(model="wrong_net", lr=0.2))
    assert results["gradient"].outcome == "failed"
    # Only what lies before the wrong op is wrong.
    assert {f.parameter for f in results["gradient"].findings} <= {"stages.0.0", "stages.0.1"}


def test_a_cut_is_found_where_none_looks_like_zeros(kit):
    results = kit.run_case(MODEL.format(model="deaf_net", lr=0.2))
    assert results["graph"].outcome == "failed"
    named = " ".join(f.message for f in results["graph"].findings)
    assert "stages.0.0" in named


def test_a_learning_rate_that_is_too_low_is_found(kit):
    results = kit.run_case(MODEL.format(model="net", lr=1e-6))
    assert codes(results["overfit"]) == ["lr_too_low"]
