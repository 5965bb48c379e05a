"""`extra`, `variants` and `skip_variants` of the check `gradient`, read with the case file."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import yaml

from gradcheck.names.load import load
from gradcheck.yamlcases.export.jsonschema import export
from gradcheck.yamlcases.inputs import input_specs
from gradcheck.yamlcases.load import load_text

NAMES = load(entry_points=False)


def said(
    options: str, op: str = "tanh", inputs: str = "{x: [2, 5]}", args: str = "{}"
) -> list[str]:
    """The errors of a case whose `gradient` has these options, in line 4 from column 5 on."""
    text = _case(options, op, inputs, args)
    found = load_text(text, NAMES, file="a.yaml")
    assert bool(found.cases) == (not found.errors)
    return [str(e).removeprefix("a.yaml:") for e in found.errors]


def _case(options: str, op: str = "tanh", inputs: str = "{x: [2, 5]}", args: str = "{}") -> str:
    return (
        "schema: 1\n"
        f"cases: {{c: {{op: {op}, inputs: {inputs}, args: {args},\n"
        "  checks: {gradient:\n"
        f"   {{{options}}}}}}}}}\n"
    )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("extra: [{y: [2]}]", "4:14: op tanh has no input 'y'; it takes: x"),
        (
            "extra: [{x: {shap: [2]}}]",
            "4:18: unknown key 'shap' in checks.gradient.extra[0].x; did you mean 'shape'?",
        ),
        (
            "extra: [{x: 3}]",
            "4:17: checks.gradient.extra[0].x must be a shape such as [2, 5], or a mapping such as "
            "{shape: [2, 5], low: 0.1}, not 3",
        ),
        ("extra: [{}]", "4:13: checks.gradient.extra[0] must not be empty"),
        (
            "extra: [{x: {shape: [2], low: 1, high: 0}}]",
            "4:44: checks.gradient.extra[0].x: high must be greater than low",
        ),
        (
            "extra: [{x: {low: 1}}]",
            "4:17: checks.gradient.extra[0].x: an input has a `shape`, such as [2, 5], or "
            "`values`; add one of them",
        ),
        (
            "extra: {x: [2]}",
            "4:12: checks.gradient.extra must be a list, not {'x': [2]}",
        ),
        (
            "stop: [a.py]",
            "4:12: checks.gradient.stop[0]: a.py is a whole file; name the line, such as a.py:12",
        ),
        ("stop: ['']", "4:12: checks.gradient.stop[0] must not be empty"),
        (
            "surrogate: {tanh: identitty}",
            "4:23: no op of framework tinytorch is called 'identitty'; did you mean 'identity'?",
        ),
        (
            "surrogate: {tanh: {formula: rel}}",
            "4:33: no op of framework tinytorch is called 'rel'; did you mean 'relu'?",
        ),
        (
            "surrogate: {tanh: {formla: relu}}",
            "4:24: unknown key 'formla' in checks.gradient.surrogate.tanh; did you mean 'formula'?",
        ),
        (
            "surrogate: {tanh: {scale: x}}",
            "4:31: checks.gradient.surrogate.tanh.scale must be a number, not 'x'",
        ),
        ("approximate: 2", "4:18: checks.gradient.approximate must be less than 1, not 2"),
        (
            "approximate: {tanh: 0}",
            "4:25: checks.gradient.approximate.tanh must be greater than 0, not 0",
        ),
        (
            "extra: [{x: [B=3, M]}]",
            "4:23: checks.gradient.extra[0].x: M has no size; write its size once: M=5",
        ),
        ("variants: 3", "4:15: checks.gradient.variants must be a list, not 3"),
    ],
)
def test_mistakes(options: str, error: str) -> None:
    assert said(options) == [error]


@pytest.mark.parametrize("option", ["variants", "skip_variants"])
def test_a_variant_that_there_is_not(option: str) -> None:
    (error,) = said(f"{option}: [ties, bach1]")
    assert error.startswith(f"4:{len(option) + 14}: checks.gradient.{option}[1] must be 'batch1', ")
    assert error.endswith(" or 'arguments', not 'bach1'; did you mean 'batch1'?")


@pytest.mark.parametrize(
    "options",
    [
        "variants: true",
        "variants: false",
        "variants: [ties, batch1]",
        "skip_variants: [huge]",
        "extra: [{x: [2]}, {x: {values: [0.5, 1]}}]",
    ],
)
def test_what_is_right(options: str) -> None:
    assert said(options) == []


def test_an_optional_input_of_the_op_may_be_extra_and_an_argument_may_not() -> None:
    inputs = "{x: [2, 5], weight: [5], bias: [5]}"
    assert said("extra: [{weight: [5]}]", "layer_norm", inputs) == []
    assert said("extra: [{eps: []}]", "layer_norm", inputs, "{eps: 1e-4}") == [
        "4:14: op layer_norm has no input 'eps'; it takes: x, weight, bias, ndim"
    ]


def test_an_op_of_any_number_of_inputs_takes_any_name() -> None:
    assert said("extra: [{third: [2, 3]}]", "concat", "{a: [2, 3], b: [2, 3]}") == []


def test_a_model_has_no_extra_inputs() -> None:
    text = (
        "schema: 1\ncases:\n  m:\n    model: mlp\n    args: {sizes: [64, 10]}\n    data: digits\n"
        "    loss: cross_entropy\n    checks: {gradient: {extra: [{x: [2]}]}}\n"
    )
    errors = load_text(text, NAMES, file="a.yaml").errors
    assert [(e.line, e.message) for e in errors if "extra" in e.message] == [
        (8, "checks.gradient.extra[0] declares inputs of an op, and the case has none")
    ]


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"x": {"low": "a"}}, "inputs.x.low must be a number, not 'a'"),
        ({"x": {"shap": [2]}}, "unknown key 'shap' in inputs.x; did you mean 'shape'?"),
        ({"x": [2, "b="]}, "inputs.x.shape[1] must be a whole number, not 'b='"),
        ({"x": [2, "b"]}, "input 'x': b has no size; write its size once: b=5"),
        ({"x": {"low": 1.0}}, "input 'x': an input has a `shape`, such as [2, 5], or `values`; "),
        ([2, 3], "inputs must be a dict of name -> shape, such as {'x': [2, 3]}"),
    ],
)
def test_inputs_of_a_plugin_in_our_words(inputs: Any, error: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(error)):
        input_specs(inputs)


@pytest.mark.parametrize(
    "options",
    [
        "stop: h",
        "stop: [a.py:3, h]",
        "surrogate: true",
        "surrogate: identity",
        "surrogate: {tanh: relu, a.py:3: {formula: clip, args: {low: -1}, scale: -1}}",
        "approximate: 0.0001",
        "approximate: {tanh: 0.0001}",
    ],
)
def test_what_is_meant_can_be_written(options: str) -> None:
    assert said(options) == []
    schema = export(NAMES)
    jsonschema.validate(yaml.safe_load(_case(options)), schema)
