"""The JSON Schema: valid itself, fresh, and of one mind with the validator."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

import gradcheck
from gradcheck.names import load as plugins
from gradcheck.yamlcases.export.jsonschema import dump, export
from gradcheck.yamlcases.text import YamlProblem, compose
from gradcheck.yamlcases.values import Values
from tests.yamlcases.shelf import GOOD, HEAD, REGISTRY, load
from tests.yamlcases.strategies import VALID, WITH_DEFAULTS, as_yaml, fuzz, mutated
from tests.yamlcases.test_bad_files import TABLE

SCHEMA = export(REGISTRY)
VALIDATOR = Draft202012Validator(SCHEMA)

BEYOND_A_SCHEMA = re.compile(
    r"xfail names|no input|needs the argument|needs '|takes \d+ inputs|input and an argument"
    r"|high must be greater|whole number for dtype int|for dtype bool|all of equal length"
    r"|but the dtype is|elements; make it|values are too many|parametrize|no registered check"
    r"|of framework other|has no size|a name has one size"
)
"""Sentences about what only the validator can know; see gradcheck/yamlcases/jsonschema.py."""


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("document", [VALID, WITH_DEFAULTS], ids=["plain", "defaults"])
def test_valid_documents_are_valid_to_both(document: dict[str, Any]) -> None:
    assert load(as_yaml(document)).errors == ()
    assert list(VALIDATOR.iter_errors(document)) == []


@given(mutated())
@fuzz(300)
def test_schema_and_validator_agree(document: dict[str, Any]) -> None:
    said = [error.message for error in load(as_yaml(document)).errors]
    allowed = VALIDATOR.is_valid(document)
    if _parametrized(document):
        return
    if not allowed:
        assert said, "the schema refuses what the validator takes"
    elif "defaults" not in document:
        assert all(BEYOND_A_SCHEMA.search(s) for s in said), "the schema takes what is refused"


def _parametrized(document: Any) -> bool:
    """What parameters do to a case is not in the schema."""
    cases = document.get("cases")
    return isinstance(cases, dict) and any(
        isinstance(case, dict) and "parametrize" in case for case in cases.values()
    )


def test_which_bad_files_are_good_to_the_schema() -> None:
    """Those that are bad as YAML, and those that only the validator can know."""
    fine = set()
    for name, text in TABLE.items():
        with contextlib.suppress(YamlProblem):
            node = compose(text)
            values = Values()
            document = None if node is None else values.build(node)
            if not values.problems and VALIDATOR.is_valid(document):
                fine.add(name)
    assert fine == {"xfail", "parametrize value", "other framework", "names of sizes"}


def test_names_and_options_of_plugins_are_in_the_schema() -> None:
    text = dump(SCHEMA)
    for name in ("layer_norm", "mlp", "digits", "own_step", "exhaustive", "below", "activation"):
        assert f'"{name}"' in text
    assert "Perturb every element end to end." in text


def test_every_key_is_described() -> None:
    for name, own in SCHEMA["$defs"]["keys"]["properties"].items():
        assert own["description"], name


OURS = {"basics", "pytorch", "swish", "text", "transformer"}


def test_the_committed_schema_is_fresh() -> None:
    """Where this fails: python -m gradcheck schema -o gradcheck/case.schema.json"""
    package = Path(gradcheck.__file__).parent
    registry = plugins.load([package.parent / "plugins"])
    foreign = {n for n, info in registry.plugins.items() if info.door == "entry point"} - OURS
    if foreign or registry.failures:
        pytest.skip(f"not just the plugins that ship: {foreign or registry.failures}")
    committed = json.loads((package / "case.schema.json").read_text(encoding="utf-8"))
    assert committed == export(registry)


def test_a_good_file_with_only_an_op() -> None:
    assert load(HEAD + GOOD).errors == ()
