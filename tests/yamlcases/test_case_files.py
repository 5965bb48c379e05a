"""What case files can say: shorthands, defaults, anchors, parameters, conditions, places."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gradcheck.names.registry import Entry
from gradcheck.yamlcases.case import Case, InputSpec
from gradcheck.yamlcases.load import load_cases, load_text
from gradcheck.yamlcases.skipping import python_matches
from tests.yamlcases.shelf import (
    FRAGILE,
    GOOD,
    HEAD,
    MODEL,
    REGISTRY,
    load,
    make_registry,
    messages,
    only,
)

DESIGN = """\
# yaml-language-server: $schema=../gradcheck/case.schema.json
schema: 1
cases:
  layer_norm:                       # an op
    op: layer_norm
    inputs: {x: [2, 5], weight: [5], bias: [5]}

  # a model, real data
  mlp_digits:
    model: mlp
    args: {sizes: [64, 32, 10]}
    data: {name: digits, batch: 32}
    loss: cross_entropy
    optimizer: {name: adam, lr: 0.01}
    checks:
      graph:
      gradient:
      overfit: {steps: 60, below: 0.1}
  own_loop:
    model: anything
    step: own_step
    xfail: {check: graph, finding: cut}
"""


def test_a_file_as_in_the_docs(tmp_path: Path) -> None:
    path = tmp_path / "cases" / "a.yaml"
    path.parent.mkdir()
    path.write_text(DESIGN, encoding="utf-8")
    loaded = load_cases(path, REGISTRY, tmp_path)
    assert loaded.errors == ()
    assert loaded.path == path
    norm, mlp, own = loaded.cases
    assert norm.id == "cases/a.yaml::layer_norm"
    assert norm.inputs["x"] == InputSpec(shape=(2, 5))
    assert norm.checks == {"gradient": {}}
    assert mlp.args == {"sizes": [64, 32, 10]}
    assert mlp.data is not None
    assert (mlp.data.name, mlp.data.batch, mlp.data.args) == ("digits", 32, {})
    assert mlp.loss is not None
    assert (mlp.loss.name, mlp.loss.args) == ("cross_entropy", {})
    assert mlp.optimizer is not None
    assert mlp.optimizer.args == {"lr": 0.01}
    assert mlp.checks == {"graph": {}, "gradient": {}, "overfit": {"steps": 60, "below": 0.1}}
    assert own.xfail[0].finding == "cut"
    assert list(own.checks) == ["graph", "gradient"]


def test_the_place_is_the_line_of_the_name_and_the_lines_as_written() -> None:
    norm, mlp, own = load(DESIGN).cases
    assert (norm.place.file, norm.place.line) == ("cases/a.yaml", 4)
    assert norm.place.text == "\n".join(DESIGN.splitlines()[3:6])
    assert (mlp.place.line, mlp.place.text) == (9, "\n".join(DESIGN.splitlines()[8:18]))
    assert own.place.text == "\n".join(DESIGN.splitlines()[18:])
    flow = only("schema: 1\ncases: {a: {op: tanh, inputs: {x: [2]}}}")
    assert flow.place.text == "cases: {a: {op: tanh, inputs: {x: [2]}}}"
    wide = only(HEAD + "  a:\n    {op: tanh,\n  inputs: {x: [2]}\n  }\n")
    assert wide.place.text == "  a:\n    {op: tanh,\n  inputs: {x: [2]}\n  }"
    unended = only(HEAD + "  a:\n    op: tanh\n    inputs: {x: [2]}")
    assert unended.place.text == "  a:\n    op: tanh\n    inputs: {x: [2]}"


@pytest.mark.parametrize(
    ("checks", "run"),
    [
        ("", ["graph", "gradient", "updates", "overfit"]),
        ("checks: all", ["gradient", "graph", "overfit", "updates"]),
        ("checks: [overfit, graph]", ["overfit", "graph"]),
        ("checks: graph", ["graph"]),
        ("checks: {overfit: {steps: 3}, graph: }", ["overfit", "graph"]),
        ("checks: ~", ["graph", "gradient", "updates", "overfit"]),
    ],
)
def test_checks(checks: str, run: list[str]) -> None:
    case = only(HEAD + MODEL + f"    {checks}\n")
    assert list(case.checks) == run


def test_default_checks_are_those_that_apply() -> None:
    assert list(only(HEAD + GOOD).checks) == ["gradient"]
    no_optimizer = HEAD + MODEL.replace("    optimizer: adam\n", "")
    assert list(only(no_optimizer).checks) == ["graph", "gradient"]
    # `all` keeps the others too: each is skipped with its reason when it runs
    every = only(HEAD + GOOD + "    checks: all\n")
    assert list(every.checks) == ["gradient", "graph", "overfit", "updates"]


def defaults(written: str, case: str) -> Case:
    return only(f"schema: 1\ndefaults: {{{written}}}\ncases:\n  c: {{{case}}}\n")


def test_defaults_lie_under_the_keys_of_a_case() -> None:
    model = "model: mlp, args: {sizes: [4, 2]}, data: digits, loss: mse"
    case = defaults("seed: 3, dtype: float64, optimizer: {name: adam, lr: 0.5}", model)
    assert (case.seed, case.dtype) == (3, "float64")
    assert case.optimizer is not None
    assert case.optimizer.args == {"lr": 0.5}
    merged = defaults("optimizer: {name: adam, lr: 0.5}", model + ", optimizer: {betas: [0, 0]}")
    assert merged.optimizer is not None
    assert merged.optimizer.args == {"lr": 0.5, "betas": [0, 0]}
    other = defaults("optimizer: {name: adam, betas: [0, 0]}", model + ", optimizer: sgd")
    assert other.optimizer is not None
    assert (other.optimizer.name, other.optimizer.args) == ("sgd", {})
    none = defaults("optimizer: adam", model + ", optimizer: ~")
    assert none.optimizer is None


def test_defaults_of_args_go_with_their_model() -> None:
    rest = "data: digits, loss: mse"
    given = "model: mlp, args: {sizes: [4, 2]}"
    assert defaults(given, f"args: {{activation: relu}}, {rest}").args == {
        "sizes": [4, 2],
        "activation": "relu",
    }
    assert defaults(given, f"model: anything, {rest}").args == {}
    assert defaults(given, "op: tanh, inputs: {x: [2]}").model is None


def test_defaults_of_models_do_not_reach_ops() -> None:
    case = defaults("optimizer: adam, loss: mse, data: digits", "op: tanh, inputs: {x: [2]}")
    assert case.optimizer is case.loss is case.data is None


def test_defaults_give_options_to_the_checks_that_a_case_names() -> None:
    given = "checks: {overfit: {steps: 7}, gradient: {exhaustive: true}}"
    model = "model: mlp, args: {sizes: [4, 2]}, data: digits, loss: mse, optimizer: adam"
    assert defaults(given, model).checks == {
        "overfit": {"steps": 7},
        "gradient": {"exhaustive": True},
    }
    named = defaults(given, model + ", checks: {overfit: {below: 0.5}, graph: }")
    assert named.checks == {"overfit": {"steps": 7, "below": 0.5}, "graph": {}}


def test_anchors_merges_and_free_keys() -> None:
    text = """\
schema: 1
x-base: &base {op: layer_norm, inputs: {x: [2, 3]}}
x-note: anything at all
cases:
  a: {<<: *base}
  b: {<<: *base, seed: 5}
"""
    a, b = load(text).cases
    assert (a.op, a.seed, b.seed) == ("layer_norm", 0, 5)


def ids(text: str) -> list[str]:
    loaded = load(text)
    assert loaded.errors == ()
    return [case.name for case in loaded.cases]


def test_parametrize() -> None:
    text = HEAD + MODEL + "    parametrize:\n      args.sizes: [[4, 2], [4, 8, 2]]\n"
    text += "      optimizer.lr: [1e-2, 1]\n"
    assert ids(text) == [
        "m.sizes-4x2.lr-0.01",
        "m.sizes-4x2.lr-1",
        "m.sizes-4x8x2.lr-0.01",
        "m.sizes-4x8x2.lr-1",
    ]
    cases = load(text).cases
    assert [c.args["sizes"] for c in cases] == [[4, 2], [4, 2], [4, 8, 2], [4, 8, 2]]
    assert [c.optimizer.args["lr"] for c in cases if c.optimizer] == [0.01, 1, 0.01, 1]
    assert {c.place.line for c in cases} == {3}


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("{seed: [1, 2]}", ["m.seed-1", "m.seed-2"]),
        ("{loss: [mse, {name: cross_entropy}]}", ["m.loss-mse", "m.loss-cross_entropy"]),
        ("{loss.name: [mse], data.name: [iris]}", ["m.loss.name-mse.data.name-iris"]),
        (
            "{optimizer: {plain: sgd, fast: {name: sgd, lr: 1}}}",
            ["m.optimizer-plain", "m.optimizer-fast"],
        ),
        ("{training: [true, false]}", ["m.training-true", "m.training-false"]),
        ("{checks.overfit.steps: [5]}", ["m.steps-5"]),
        ("{args.activation: ['a b', 'a/b']}", ["m.activation-a_b_0", "m.activation-a_b_1"]),
        (
            "{optimizer: [{name: sgd, lr: 1}, {name: sgd, lr: 2}]}",
            ["m.optimizer-sgd_0", "m.optimizer-sgd_1"],
        ),
    ],
)
def test_parametrized_ids(axes: str, names: list[str]) -> None:
    assert ids(HEAD + MODEL + f"    parametrize: {axes}\n") == names


def test_parameters_go_through_shorthands_and_defaults() -> None:
    text = "schema: 1\ndefaults: {optimizer: {name: adam, lr: 9}}\ncases:\n"
    text += MODEL.replace("    optimizer: adam\n", "") + "    parametrize: {optimizer.lr: [1]}\n"
    (case,) = load(text).cases
    assert case.optimizer is not None
    assert (case.optimizer.name, case.optimizer.args) == ("adam", {"lr": 1})
    text = HEAD + GOOD + "    parametrize: {inputs.x.low: [1]}\n"
    (case,) = load(text).cases
    assert case.inputs["x"] == InputSpec(shape=(2, 5), low=1)


def test_an_id_that_parameters_make_twice() -> None:
    text = HEAD + GOOD.replace("good", "a.seed-1") + GOOD.replace("good", "a")
    assert messages(text + "    parametrize: {seed: [1]}\n") == [
        "6:3: parametrize makes the id 'a.seed-1', which line 3 already has; rename one of the "
        "cases"
    ]


def test_marks_skip_cost_timeout_description() -> None:
    case = only(
        HEAD + GOOD + "    marks: slow\n    cost: 3\n    timeout: 60\n    description: it holds\n"
    )
    assert (case.marks, case.cost, case.timeout, case.description) == (("slow",), 3, 60, "it holds")
    assert case.skip_reason() is None
    assert only(HEAD + GOOD + "    marks: [slow, mine]\n").marks == ("slow", "mine")
    assert only(HEAD + GOOD + "    skip: not now\n").skip_reason() == "not now"
    assert only(HEAD + GOOD + "    skip: true\n").skip_reason() == "the case says `skip: true`"
    assert only(HEAD + GOOD + "    skip: false\n").skip_reason() is None


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (f"{{platform: {sys.platform}}}", f"the platform is {sys.platform}"),
        ("{platform: [linux, darwin, win32], reason: no room}", "no room"),
        ("{platform: cygwin}", None),
        ("{python: '>=3.10'}", f"Python is {'.'.join(map(str, sys.version_info[:3]))}"),
        ("{python: '<3.10'}", None),
        ("{missing: no_such_package}", "no_such_package is not installed"),
        ("{missing: [numpy, no_such_package]}", "no_such_package is not installed"),
        ("{missing: numpy}", None),
        ("{missing: no_such_package, python: '<3.10'}", None),
        ("[{python: '<3.10'}, {missing: no_such_package}]", "no_such_package is not installed"),
    ],
)
def test_skip_if(condition: str, reason: str | None) -> None:
    assert only(HEAD + GOOD + f"    skip_if: {condition}\n").skip_reason() == reason


@pytest.mark.parametrize(
    ("spec", "holds"),
    [
        (">=3.11", True),
        (">3.11", False),
        ("==3.11", True),
        ("!=3.11", False),
        ("<3.11.8, >=3.9", True),
        ("<=3.11.6", False),
        (">=3.10,<3.11", False),
    ],
)
def test_python_specs(spec: str, holds: bool) -> None:
    assert python_matches(spec, (3, 11, 7)) is holds


def test_what_was_set_is_known() -> None:
    case = only(HEAD + GOOD + "    seed: 0\n")
    assert "seed" in case.model_fields_set
    assert "seed" not in only(HEAD + GOOD).model_fields_set


def test_inputs_by_position_where_the_op_has_other_names() -> None:
    assert only(HEAD + "  c: {op: layer_norm, inputs: {a: [2, 3], b: [3]}}\n").op == "layer_norm"
    assert (
        only(HEAD + "  c: {op: concat, args: {dim: 1}, inputs: {a: [2], b: [3]}}\n").op == "concat"
    )
    assert messages(HEAD + "  c: {op: tanh, inputs: {a: [2], b: [2]}}\n") == [
        "3:17: op tanh takes 1 inputs (x), and the case has 2"
    ]
    assert messages(HEAD + "  c: {op: layer_norm, inputs: {weight: [2]}}\n") == [
        "3:23: op layer_norm needs 'x'; add it to `inputs`, or to `args` if it is not an array"
    ]


def test_a_check_that_breaks_does_not_hide_the_cases() -> None:
    registry = make_registry()
    registry.add(Entry("check", "fragile", FRAGILE, "shelf", "shelf.py:1"))
    text = HEAD + GOOD + GOOD.replace("good", "bad") + "    checks: {fragile: {level: 1}}\n"
    loaded = load_text(text, registry)
    assert [c.name for c in loaded.cases] == ["good"]
    assert [str(e) for e in loaded.errors] == [
        "<case>:9:23: the options of check fragile cannot be validated: KeyError: 'missing'"
    ]
