"""Mistakes on the command line and in the ini file: a sentence, before anything runs."""

from __future__ import annotations

import json

import pytest

from gradcheck.report.entry import Entry


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--gradcheck-seed=-1"], "the seed is -1; --gradcheck-seed and * from 0 to 4294967295"),
        (["--gradcheck-html=cases"], "--gradcheck-html: */cases cannot be written: Is a directory"),
        (
            ["--gradcheck-html=r", "--gradcheck-json=r"],
            "--gradcheck-html and --gradcheck-json both write */r; name two files",
        ),
        (
            ["--gradcheck-set", "planned.sleep=long"],
            "gradcheck_set: planned.sleep must be a number, not 'long'",
        ),
    ],
)
def test_the_command_line(project, given: list[str], said: str) -> None:
    project.cases(one="checks: {planned: }")
    result = project.run("--gradcheck", *given)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert not (project.path / "r").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gradcheck_seed = -3", "the seed is -3; *"),
        (
            "gradcheck_plugins = plugs",
            "*gradcheck_plugins names plugs, but * has no such folder",
        ),
    ],
)
def test_the_ini_file(project, line: str, said: str) -> None:
    project.cases(one="checks: {planned: }")
    project.pytester.makeini(f"[pytest]\n{line}\n")
    result = project.run("--gradcheck")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {said}*"])


@pytest.mark.parametrize("items", [[1], [{}], [{"nodeid": "a"}]])
def test_a_baseline_that_is_no_whole_report(project, items: list) -> None:
    project.cases(one="checks: {planned: }")
    project.write("b.json", json.dumps({"schema_version": 1, "complete": True, "items": items}))
    result = project.run("--gradcheck", "--gradcheck-baseline=b.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*b.json is not a complete report*an item lacks one of *"])
    whole = {
        "schema_version": 1,
        "complete": True,
        "items": [Entry.at("cases/a.yaml::one::planned").to_json()],
    }
    project.write("b.json", json.dumps(whole))
    assert project.run("--gradcheck", "--gradcheck-baseline=b.json").ret == 0


def test_a_page_that_can_be_written_is_not_there_before_it_is(project) -> None:
    project.cases(one="checks: {planned: {marker: r.html, find: cut}}")  # the check appends to it
    project.run("--gradcheck", "--gradcheck-html=out/r.html")
    assert (project.path / "out/r.html").read_text().startswith("<!DOCTYPE html>")
    project.run("--gradcheck", "--collect-only", "--gradcheck-html=none/r.html")
    assert not (project.path / "none/r.html").exists()
