"""The case reference in the docs: complete, and made of the models."""

from __future__ import annotations

import re

from pydantic import BaseModel

from gradcheck.yamlcases.case import CaseKeys, DataSpec, InputSpec, SkipIf, TrainSpec, Xfail
from gradcheck.yamlcases.export.markdown import reference, table
from tests.yamlcases.shelf import CHECKS, REGISTRY

TEXT = reference(REGISTRY)


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_every_key_has_a_row_with_a_description() -> None:
    models: list[type[BaseModel]] = [CaseKeys, InputSpec, DataSpec, TrainSpec, Xfail, SkipIf]
    for model in [*models, *(check.Options for check in CHECKS)]:
        rows = [cells(row) for row in table(model).splitlines()[2:]]
        assert [row[0] for row in rows] == [f"`{name}`" for name in model.model_fields]
        for row in rows:
            assert len(row) == 4
            assert row[1]
            assert row[3], f"{model.__name__}: {row[0]} has no description"


def test_types_defaults_and_limits_are_said() -> None:
    rows = {cells(row)[0]: cells(row)[1:] for row in TEXT.splitlines() if row.startswith("| `")}
    assert rows["`steps`"] == ["whole number, ≥ 1, ≤ 10,000", "`60`", "Training steps."]
    assert rows["`dtype`"][:2] == ["`float` or `int` or `bool`", "`float`"]
    assert rows["`exhaustive`"][:2] == ["true or false", "`false`"]
    assert rows["`marks`"][0] == "one or a list of text"
    assert rows["`check`"][1] == "required"


def test_every_check_has_a_section() -> None:
    for check in CHECKS:
        assert f"### `{check.name}`" in TEXT
    assert "`checks: all`" in TEXT
    assert TEXT.endswith("\n")
