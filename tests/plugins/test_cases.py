"""The cases that ship: every op has one, every broken twin has one, and none has an error."""

from pathlib import Path

import pytest

from gradcheck.names import load as plugins
from gradcheck.yamlcases.implicit import implicit_cases
from gradcheck.yamlcases.load import load_cases

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cases").rglob("*.yaml"))


def names(registry, kind):
    """What the plugins offer."""
    return {e.name for e in registry.entries(kind, "tinytorch")}


@pytest.fixture(scope="module")
def registry():
    return plugins.load([ROOT / "plugins"])


@pytest.fixture(scope="module")
def cases(registry):
    loaded = [load_cases(path, registry, ROOT) for path in FILES]
    assert [str(e) for file in loaded for e in file.errors] == []
    return [case for file in loaded for case in file.cases]


def test_no_first_party_plugin_fails(registry):
    assert registry.failures == []


def test_every_op_of_every_plugin_has_a_case(registry, cases):
    checked = {c.op for c in [*cases, *implicit_cases(registry)] if "gradient" in c.checks}
    missing = names(registry, "op") - checked
    assert not missing, f"write a case for: {', '.join(sorted(missing))}"


def test_every_op_of_tinytorch_has_a_case_that_is_expected_to_pass(cases):
    from tinytorch import OPS

    ours = {n for n, op in OPS.items() if op.__module__.partition(".")[0] == "tinytorch"}
    checked = {c.op for c in cases if "gradient" in c.checks and not c.xfail}
    assert ours - checked == set()


def test_every_model_of_the_plugins_has_a_case(registry, cases):
    missing = names(registry, "model") - {c.model for c in cases}
    assert not missing, f"write a case for: {', '.join(sorted(missing))}"


def test_every_broken_thing_is_held_to_fail(registry, cases):
    used = {name for c in cases if c.xfail for name in (c.op, c.model, c.step) if name}
    used |= {c.loss.name for c in cases if c.xfail and c.loss}
    used |= {c.data.name for c in cases if c.xfail and c.data}
    broken = {
        entry.name
        for kind in ("op", "model", "step", "loss", "dataset")
        for entry in registry.entries(kind)
        if entry.plugin == "broken"
    }
    assert broken - used == set()


def test_the_cases_of_the_broken_folder_all_name_their_finding(cases):
    broken = [c for c in cases if c.place.file.startswith("cases/broken/")]
    assert len(broken) > 20
    for case in broken:
        assert {x.check for x in case.xfail} == set(case.checks), case.id


def test_every_file_names_the_schema_for_editors():
    for path in FILES:
        depth = len(path.relative_to(ROOT).parts) - 1
        expected = f"$schema={'../' * depth}gradcheck/case.schema.json"
        first = path.read_text("utf-8").partition("\n")[0]
        assert first == f"# yaml-language-server: {expected}", path
