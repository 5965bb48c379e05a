"""What runs, and under which ids."""

from __future__ import annotations

import pytest


@pytest.fixture
def two_files(project):
    project.cases("cases/a.yaml", one="checks: {planned: , other: }", two="checks: {planned: }")
    project.cases("more/b.yaml", three="checks: {planned: }")
    project.write("test_unit.py", "def test_unit(): pass\n")
    project.write("cases/test_beside.py", "def test_beside(): pass\n")
    return project


A = ["cases/a.yaml::one::planned", "cases/a.yaml::one::other", "cases/a.yaml::two::planned"]
B = ["more/b.yaml::three::planned"]
UNIT = ["test_unit.py::test_unit"]
BESIDE = ["cases/test_beside.py::test_beside"]


def test_the_flag_alone_runs_the_cases_and_nothing_else(two_files) -> None:
    assert two_files.ids("--gradcheck") == A


def test_plain_pytest_runs_unit_tests_only(two_files) -> None:
    assert sorted(two_files.ids()) == sorted(BESIDE + UNIT)


def test_the_flag_with_paths_adds_the_cases_found_there(two_files) -> None:
    assert sorted(two_files.ids("--gradcheck", ".")) == sorted(A + B + BESIDE + UNIT)
    assert two_files.ids("--gradcheck", "more") == B


def test_a_named_file_runs_with_or_without_the_flag(two_files) -> None:
    for flags in ([], ["--gradcheck"]):
        assert two_files.ids(*flags, "more/b.yaml") == B
        assert two_files.ids(*flags, "cases/a.yaml::one") == A[:2]
        assert two_files.ids(*flags, "cases/a.yaml::one::other") == [A[1]]


def test_the_ini_names_the_paths(two_files) -> None:
    two_files.pytester.makeini("[pytest]\ngradcheck_paths = more cases/a.yaml\n")
    assert two_files.ids("--gradcheck") == B + A


def test_without_any_case_folder_a_sentence_says_so(project) -> None:
    result = project.run("--gradcheck")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gradcheck found no cases: cases (ini key gradcheck_paths)*"])


def test_keyword_and_marker(two_files) -> None:
    assert two_files.ids("--gradcheck", "-k", "two") == [A[2]]
    assert two_files.ids("--gradcheck", "-k", "one and not planned") == [A[1]]
    assert two_files.ids("--gradcheck", ".", "-m", "gradcheck") == A + B
    assert sorted(two_files.ids("--gradcheck", ".", "-m", "not gradcheck")) == BESIDE + UNIT


def test_stop_at_the_first_failure_and_last_failed(project) -> None:
    project.cases(
        one="checks: {planned: }",
        two="checks: {planned: {find: cut}}",
        three="checks: {planned: , other: }",
    )
    project.run("--gradcheck", "-x").assert_outcomes(passed=1, failed=1)
    project.run("--gradcheck").assert_outcomes(passed=3, failed=1)
    result = project.run("--gradcheck", "--lf")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*two::planned*"])


def test_other_yaml_files_are_left_alone(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write("docker-compose.yml", "services:\n  web: {image: x}\n")
    project.write("more/list.yaml", "- 1\n- 2\n")
    project.write("more/template.yaml", "{{ broken: [\n")
    project.write("cases/notes.yaml", "authors: [me]\n")
    project.run("--gradcheck", ".").assert_outcomes(passed=1)
    project.run("--gradcheck").assert_outcomes(passed=1)


def test_a_named_file_that_holds_no_cases_is_an_error(project) -> None:
    project.write("notes.yaml", "authors: [me]\n")
    result = project.run("notes.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["notes.yaml:1:*"])


def test_the_line_of_a_case_is_its_location(project) -> None:
    project.cases(one="checks: {planned: }", two="checks: {planned: }")
    seen = []

    class Look:
        def pytest_itemcollected(self, item):
            seen.append((item.name, item.reportinfo()))

    project.pytester.inline_run("--gradcheck", "--collect-only", plugins=[Look()])
    path = project.path / "cases/a.yaml"
    assert seen == [("planned", (path, 2, "one::planned")), ("planned", (path, 6, "two::planned"))]
