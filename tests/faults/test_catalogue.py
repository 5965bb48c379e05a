"""Every planted fault is caught by its check, with its finding, at its place; and its case passes
without it."""

import json
from collections import Counter
from pathlib import Path

import pytest
from gradcheck.plugins import _faults

from gradcheck.__main__ import main
from gradcheck.names import load as plugins
from gradcheck.planted import Planting

ROOT = Path(__file__).parents[2]
PLUGINS = str(ROOT / "plugins")
REGISTRY = plugins.load([ROOT / "plugins"], objects=[("_faults", _faults)])
FAULTS = [e for e in REGISTRY.entries("fault") if e.plugin == "_faults"]


@pytest.fixture(scope="module")
def planting():
    return Planting(REGISTRY)


def test_the_catalogue_is_large_and_reaches_every_kind_of_check():
    assert len(FAULTS) >= 300
    checks = Counter(e.extra["check"] for e in FAULTS)
    assert {
        "gradient",
        "graph",
        "overfit",
        "updates",
        "init",
        "alignment",
        "loader",
        "causality",
        "batch_independence",
        "determinism",
        "accumulation",
        "multibatch",
        "reference",
    } <= set(checks)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda e: e.name)
def test_caught_and_named(planting, fault):
    outcome = planting.run(fault)
    assert outcome.verdict == "caught", outcome.text


@pytest.mark.parametrize("name", ["times_1.0001", "mask_off_by_one", "zero_grad_missing"])
def test_a_fault_is_taken_out_again(planting, name):
    fault = REGISTRY.get("fault", name)
    assert planting.planted(fault).outcome == "failed"
    fresh = Planting(REGISTRY)
    assert fresh.healthy(fault).outcome == "passed"


def test_no_ordinary_run_loads_the_catalogue():
    registered = {e.plugin for e in plugins.load([ROOT / "plugins"]).entries("fault")}
    assert registered == {"transformer"}


def test_the_command_lists_what_was_caught(capsys):
    assert main(["faults", "sign_flipped", "zero_grad_missing", "--plugins", PLUGINS]) == 0
    out = capsys.readouterr().out
    assert "zero_grad_missing" in out
    assert "2 of 2 caught" in out


def test_the_command_has_the_catalogue_where_there_is_no_plugins_folder(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["faults", "--check", "loader", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["faults"]
    assert {t["name"] for t in told} == {e.name for e in FAULTS if e.extra["check"] == "loader"}


BLIND = """
from contextlib import nullcontext
from gradcheck import hookimpl

@hookimpl
def gradcheck_register(register):
    case = "op: sin\\ninputs: {x: [2]}"
    register.fault("harmless", nullcontext, check="gradient", finding="wrong_gradient", case=case)
"""


def test_the_command_fails_when_one_is_missed(capsys, tmp_path):
    (tmp_path / "blind.py").write_text(BLIND)
    assert main(["faults", "harmless", "--plugins", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "MISSED" in out
    assert "wrong_gradient was expected, found: nothing" in out


def test_the_command_names_faults_when_none_matches(capsys):
    assert main(["faults", "no_such_fault", "--plugins", PLUGINS]) == 2
    assert "no fault has this name" in capsys.readouterr().err
