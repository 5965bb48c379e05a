"""The JSON report: what is in it, its validity at any moment, the comparison with a baseline."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

import gradcheck
from gradcheck.report import baseline, jsonfile
from gradcheck.report.entry import Entry

SCHEMA = json.loads((Path(gradcheck.__file__).parent / "report.schema.json").read_text())


def report_of(project, *args: str) -> dict:
    project.run("--gradcheck", "--gradcheck-json", "out/r.json", *args)
    return json.loads((project.path / "out/r.json").read_text())


@pytest.fixture
def mixed(project):
    """One item of every outcome."""
    project.cases(
        good="checks: {planned: {error: 1.0e-9}, inapplicable: }",
        bad="checks: {planned: {find: sign, error: 0.5}}",
        known="checks: {planned: {find: cut}}\nxfail: {check: planned, finding: cut, reason: kept}",
        left="checks: {planned: }\nskip: not today",
        buggy="checks: {broken: }",
    )
    project.write("cases/wrong.yaml", "schema: 1\ncases: {one: {opp: identity}}\n")
    return project


def test_one_entry_per_item_as_the_schema_says(mixed) -> None:
    report = report_of(mixed)
    jsonschema.validate(report, SCHEMA)
    assert report["schema_version"] == 1
    assert report["complete"] is True
    assert {i["nodeid"]: i["outcome"] for i in report["items"]} == {
        "cases/a.yaml::good::planned": "passed",
        "cases/a.yaml::good::inapplicable": "skipped",
        "cases/a.yaml::bad::planned": "failed",
        "cases/a.yaml::known::planned": "xfailed",
        "cases/a.yaml::left::planned": "skipped",
        "cases/a.yaml::buggy::broken": "error",
        "cases/wrong.yaml::case-file": "error",
    }
    by_case = {i["case"]: i for i in report["items"]}
    bad = by_case["bad"]
    assert (bad["check"], bad["subject"], bad["seed"], bad["line"]) == ("planned", "identity", 0, 7)
    assert bad["measurements"]["worst_relative_error"] == 0.5
    assert bad["figures"]["loss_curve"]["loss"] == [3.0, 2.0, 1.0]
    (finding,) = bad["findings"]
    assert {k: finding[k] for k in ("code", "parameter", "index", "op", "where")} == {
        "code": "sign",
        "parameter": "w",
        "index": [1, 2],
        "op": "matmul",
        "where": "model.py:7",
    }
    assert (finding["analytic"], finding["numeric"], finding["relative_error"]) == (1.0, 2.0, 0.5)
    assert bad["text"].startswith("cases/a.yaml:7  bad::planned  FAILED\n")
    buggy = by_case["buggy"]
    assert buggy["findings"][0]["message"].startswith("call failed: ")
    assert "TypeError: object is not a JSON value" in buggy["text"]
    assert by_case["known"]["reason"] == "kept"
    assert by_case["left"]["reason"] == "not today"
    wrong = by_case[None]
    assert wrong["findings"][0]["where"].startswith("cases/wrong.yaml:2:")
    assert all(i["seconds"] >= 0 for i in report["items"])


def test_the_schema_refuses_what_is_not_in_it(mixed) -> None:
    report = report_of(mixed)
    for spoil in (
        lambda r: r["items"][0].pop("seed"),
        lambda r: r["items"][0].update(outcome="fine"),
        lambda r: r["items"][0].update(extra=1),
        lambda r: r.update(schema_version=2),
    ):
        spoiled = copy.deepcopy(report)
        spoil(spoiled)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoiled, SCHEMA)


def test_a_killed_run_leaves_a_valid_report_of_what_it_finished(project) -> None:
    project.cases(
        one="checks: {planned: }",
        two="checks: {planned: {find: cut}}",
        three="checks: {planned: {kill: true}}",
        four="checks: {planned: }",
    )
    result = project.pytester.runpytest_subprocess("--gradcheck", "--gradcheck-json", "r.json")
    assert result.ret == -9
    report = json.loads((project.path / "r.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert report["complete"] is False
    assert [(i["case"], i["outcome"]) for i in report["items"]] == [
        ("one", "passed"),
        ("two", "failed"),
    ]


def test_the_file_is_valid_json_after_every_entry(tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.json"
    report = jsonfile.JsonReport(path)
    found = []
    assert not path.exists()
    for i in range(5):
        report.add(Entry.at(f"a.yaml::é{i}::x", order=5 - i))
        found.append(f"a.yaml::é{i}::x")
        assert [e.nodeid for e in jsonfile.read(path)] == found
    report.finish([Entry.at("a.yaml::last::x")], complete=True)
    assert [e.nodeid for e in jsonfile.read(path)] == ["a.yaml::last::x"]
    assert list(path.parent.iterdir()) == [path]


def test_collecting_only_writes_nothing(project) -> None:
    project.cases(one="checks: {planned: }")
    project.run("--gradcheck", "--collect-only", "--gradcheck-json", "r.json")
    assert not (project.path / "r.json").exists()


def test_a_path_that_cannot_be_written_is_a_usage_error(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write("file", "")
    result = project.run("--gradcheck", "--gradcheck-json", "file/r.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--gradcheck-json: *file/r.json cannot be written: *"])


def test_baseline_fails_on_what_got_worse_and_names_what_vanished(project) -> None:
    project.cases(
        same="checks: {planned: }",
        breaks="checks: {planned: }",
        grows="checks: {planned: {error: 1.0e-8}}",
        noisy="checks: {planned: {error: 1.0e-14}}",
        gone="checks: {planned: }",
        red="checks: {planned: {find: cut}}",
    )
    project.run("--gradcheck", "--gradcheck-json", "before.json")
    project.cases(
        same="checks: {planned: }",
        breaks="checks: {planned: {find: sign}}",
        grows="checks: {planned: {error: 2.0e-7}}",
        noisy="checks: {planned: {error: 5.0e-13}}",
        red="checks: {planned: {find: cut}}",
        fresh="checks: {planned: }",
    )
    result = project.run("--gradcheck", "--gradcheck-baseline", "before.json")
    told = [line for line in result.outlines if "the baseline" in line]
    assert told == [
        "worse than the baseline: cases/a.yaml::breaks::planned was passed, now failed",
        "worse than the baseline: cases/a.yaml::grows::planned has a relative error of 2.0e-07, "
        "it was 1.0e-08",
        "in the baseline, not in this run: cases/a.yaml::gone::planned",
    ]
    # Only the larger error of a passing check: the run fails all the same.
    result = project.run("--gradcheck", "--gradcheck-baseline", "before.json", "-k", "grows")
    result.assert_outcomes(passed=1, deselected=5)
    assert result.ret == 1
    result = project.run("--gradcheck", "--gradcheck-baseline", "before.json", "-k", "same")
    assert result.ret == 0


def test_a_check_that_is_skipped_now_is_worse() -> None:
    old = Entry.at("a::b::c", outcome="passed")
    new = Entry.at("a::b::c", outcome="skipped", reason="not today")
    compared = baseline.compare([old], [new])
    assert compared.worse == ["a::b::c was passed, now skipped: not today"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[]", "is not a report of --gradcheck-json"),
        ('{"items": [], "schema_version": 99}', "has schema_version 99"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_baseline_is_a_usage_error(project, text: str | None, said: str) -> None:
    project.cases(one="checks: {planned: }")
    if text is not None:
        project.write("b.json", text)
    result = project.run("--gradcheck", "--gradcheck-baseline", "b.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*--gradcheck-baseline: *b.json {said}*"])


def test_junit_gets_the_seed_and_the_measurements(project) -> None:
    project.cases(one="checks: {planned: {find: cut, error: 0.5}}\nseed: 6")
    project.run("--gradcheck", "--junitxml", "j.xml")
    text = (project.path / "j.xml").read_text()
    for name, value in {
        "gradcheck_outcome": "failed",
        "gradcheck_seed": "6",
        "gradcheck_worst_relative_error": "0.5",
        "gradcheck_finding": "cut",
    }.items():
        assert f'<property name="{name}" value="{value}"' in text
    assert '"figures"' not in text
    assert "'figures'" not in text
