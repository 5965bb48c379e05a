"""Passed, failed, skipped, expected to fail, and broken files."""

from __future__ import annotations


def test_a_failure_shows_its_text_and_no_traceback(project) -> None:
    project.cases(one="checks: {planned: {find: cut}}")
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "cases/a.yaml:3  one::planned  FAILED",
            "  the gradient of w is wrong (cut)",
            "     w?1, 2? analytic 1 numeric 2",
            "  look at matmul",
            '  re-run: pytest --gradcheck "cases/a.yaml::one::planned" --gradcheck-seed 0',
            "FAILED cases/a.yaml::one::planned - the gradient of w is wrong (cut)",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "items.py" not in result.stdout.str()


def test_the_rerun_line_works_from_where_pytest_was_started(project, monkeypatch) -> None:
    project.cases("cases/deep/a.yaml", one="checks: {planned: {find: cut}}")
    monkeypatch.chdir(project.path / "cases")
    result = project.run("--gradcheck")
    line = next(line for line in result.outlines if "re-run:" in line)
    assert line.split(": ", 1)[1] == (
        'pytest --gradcheck "deep/a.yaml::one::planned" --gradcheck-seed 0'
    )
    project.run("--gradcheck", "deep/a.yaml::one::planned").assert_outcomes(failed=1)


def test_expected_finding_is_an_expected_failure(project) -> None:
    project.cases(
        one="""
        checks: {planned: {find: sign cut}, other: }
        xfail: {check: planned, finding: cut}
        """
    )
    project.run("--gradcheck").assert_outcomes(xfailed=1, passed=1)


def test_another_finding_is_a_failure_that_says_so(project) -> None:
    project.cases(
        one="""
        checks: {planned: {find: sign}}
        xfail: {check: planned, finding: cut}
        """
    )
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  xfail expects finding 'cut', but the check found 'sign'"])


def test_passing_is_a_failure_that_says_so(project) -> None:
    project.cases(one="checks: {planned: }\nxfail: {check: planned, finding: cut}")
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["  xfail expects finding 'cut', but the check passed; if the fault is repaired, *"]
    )


def test_a_check_that_does_not_apply_cannot_meet_its_xfail(project) -> None:
    project.cases(one="checks: {inapplicable: }\nxfail: {check: inapplicable, finding: cut}")
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  xfail expects finding 'cut', but the check did not run: *"])


def test_runxfail_shows_the_failure(project) -> None:
    project.cases(
        one="checks: {planned: {find: cut}}\nxfail: {check: planned, finding: cut}",
    )
    result = project.run("--gradcheck", "--runxfail")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  the gradient of w is wrong (cut)"])


def test_a_check_that_does_not_apply_is_skipped_with_its_reason(project) -> None:
    project.cases(one="checks: {inapplicable: }")
    result = project.run("--gradcheck", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*it never does*"])


def test_a_bad_file_is_one_failure_with_all_its_places_and_the_others_run(project) -> None:
    project.cases("cases/good.yaml", one="checks: {planned: }")
    project.write(
        "cases/bad.yaml",
        """\
        schema: 1
        cases:
          one:
            op: identity
            inputs: {x: [2]}
            chekcs: {planned: }
          two:
            op: no_such_op
            inputs: {x: [2]}
            checks: {planned: }
        """,
    )
    project.write("cases/empty.yaml", "")
    result = project.run("--gradcheck")
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "cases/bad.yaml:6:5: *chekcs*",
            "cases/bad.yaml:8:*no_such_op*",
            "cases/empty.yaml:1:1: *",
        ]
    )
    assert "Traceback" not in text
    assert "collect.py" not in text


def test_a_bug_in_a_check_shows_its_traceback(project) -> None:
    project.cases(one="checks: {broken: }")
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TypeError: object is not a JSON value*"])


def test_a_plugin_that_cannot_be_loaded_is_named_and_the_rest_runs(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write("plugins/broken.py", "import no_such_module\n")
    result = project.run("--gradcheck")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["plugin failure: *broken.py*no_such_module*"])


def test_strict_plugins_stops_the_run(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write("plugins/broken.py", "import no_such_module\n")
    result = project.run("--gradcheck", "--gradcheck-strict-plugins")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*broken.py*no_such_module*"])


def test_marks_and_skips_of_a_case(project) -> None:
    project.pytester.makeini("[pytest]\nmarkers = slow: takes long\n")
    project.cases(
        one="checks: {planned: }\nmarks: [slow]",
        two="checks: {planned: }\nskip: not today",
        three="checks: {planned: }\nskip_if: {missing: no_such_package}",
    )
    assert project.ids("--gradcheck", "-m", "slow") == ["cases/a.yaml::one::planned"]
    result = project.run("--gradcheck", "-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*not today*", "*no_such_package*"])


def test_an_unregistered_mark_under_strict_markers_is_one_failure(project) -> None:
    project.cases(one="checks: {planned: }\nmarks: [slwo]", two="checks: {planned: }")
    result = project.run("--gradcheck", "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["cases/a.yaml:3:*mark 'slwo' is not known to pytest*"])


def test_a_timeout_is_a_finding(project) -> None:
    project.cases(one="checks: {planned: {sleep: 20}}\ntimeout: 0.2")
    result = project.run("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "  planned took longer than the case's timeout of 0.2 s",
            "     it was at plugins/fake.py:*",
        ]
    )


def test_what_is_skipped_is_said_in_one_line_at_the_place_of_the_case(project) -> None:
    project.cases(one="checks: {planned: }\nskip: not today", two="checks: {inapplicable: }")
    result = project.run("--gradcheck", "-v", "-rs")
    result.stdout.fnmatch_lines(
        [
            "cases/a.yaml::one::planned  skipped: not today",
            "cases/a.yaml::two::inapplicable  skipped: inapplicable does not apply: it never does",
            "SKIPPED * cases/a.yaml:3: not today",
            "SKIPPED * cases/a.yaml:8: inapplicable does not apply: it never does",
        ]
    )
