"""The hooks for conftest files, and the settings with their precedence."""

from __future__ import annotations

import json

from gradcheck import options


def seeds(project, *args: str) -> dict[str, int]:
    """The seed that each case ran with."""
    project.run("--gradcheck", "--gradcheck-json", "r.json", *args)
    items = json.loads((project.path / "r.json").read_text())["items"]
    return {item["case"]: item["seed"] for item in items}


def test_conftest_contributes_names_to_its_own_folder_only(project) -> None:
    project.cases("cases/in/a.yaml", one="checks: {planned: }")
    project.cases("cases/out/b.yaml", two="checks: {planned: }")
    for name in ("in", "out"):
        file = project.path / "cases" / name / ("a.yaml" if name == "in" else "b.yaml")
        file.write_text(file.read_text().replace("op: identity", "op: local"))
    project.write(
        "cases/in/conftest.py",
        """
        def local(x):
            return x

        def pytest_gradcheck_configure(register):
            register.op("local", local)
        """,
    )
    result = project.run("--gradcheck")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["cases/out/b.yaml:4:*local*"])


def test_a_conftest_that_raises_is_named(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write(
        "cases/conftest.py",
        """
        def pytest_gradcheck_configure(register):
            register.modle("local", int)
        """,
    )
    result = project.run("--gradcheck")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["plugin failure: *conftest.py:3*'modle'*"])


def test_conftest_changes_a_case_and_sees_results(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write(
        "conftest.py",
        """
        def pytest_gradcheck_modify_case(case):
            return case.model_copy(update={"seed": 7})

        def pytest_gradcheck_result(check, result):
            with open("seen.txt", "a") as file:
                file.write(f"{check} {result.outcome} {result.measurements['entries']}\\n")
        """,
    )
    assert seeds(project) == {"one": 7}
    assert (project.path / "seen.txt").read_text() == "planned passed 1234\n"


def test_seed_command_line_over_case_over_defaults_over_ini_over_built_in(project) -> None:
    project.cases(one="checks: {planned: }\nseed: 5", two="checks: {planned: }")
    assert seeds(project) == {"one": 5, "two": 0}
    project.pytester.makeini("[pytest]\ngradcheck_seed = 9\n")
    assert seeds(project) == {"one": 5, "two": 9}
    assert seeds(project, "--gradcheck-seed", "3") == {"one": 3, "two": 3}
    file = project.path / "cases/a.yaml"
    file.write_text(file.read_text().replace("cases:", "defaults: {seed: 4}\ncases:"))
    assert seeds(project) == {"one": 5, "two": 4}


def test_options_of_checks_from_ini_and_command_line(project) -> None:
    project.cases(one="checks: {planned: }", two="checks: {planned: {find: sign}}")
    project.pytester.makeini("[pytest]\ngradcheck_set = planned.find=cut\n")
    text = project.run("--gradcheck").stdout.str()
    assert "one::planned - the gradient of w is wrong (cut)" in text
    assert "two::planned - the gradient of w is wrong (sign)" in text
    text = project.run("--gradcheck", "--gradcheck-set", "planned.find=nan").stdout.str()
    assert text.count("is wrong (nan)\n") == 4


def test_a_malformed_setting_is_a_usage_error(project) -> None:
    project.cases(one="checks: {planned: }")
    for given in ("planned", "planned.find", ".find=1"):
        result = project.run("--gradcheck", "--gradcheck-set", given)
        assert result.ret == 4
        result.stderr.fnmatch_lines([f"*--gradcheck-set got '{given}'; write CHECK.OPTION=VALUE*"])


def test_an_option_that_the_check_does_not_have_is_a_failure_with_its_name(project) -> None:
    project.cases(one="checks: {planned: }")
    result = project.run("--gradcheck", "--gradcheck-set", "planned.fnd=cut")
    assert result.ret == 4
    text = result.stdout.str() + result.stderr.str()
    assert "planned.fnd: check planned has no such option; did you mean 'find'?" in text
    assert "Traceback" not in text
    text = project.run("--gradcheck", "--gradcheck-set", "planned.sleep=long").stderr.str()
    assert "planned.sleep must be a number, not 'long'" in text
    text = project.run("--gradcheck", "--gradcheck-set", "planed.find=cut").stderr.str()
    assert "no check is called 'planed'; did you mean 'planned'?" in text


def test_a_bad_ini_value_is_a_usage_error(project) -> None:
    project.cases(one="checks: {planned: }")
    project.pytester.makeini("[pytest]\ngradcheck_seed = nine\n")
    result = project.run("--gradcheck")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*ini key gradcheck_seed is 'nine'; it must be a whole number*"])


def test_every_setting_is_in_the_help_and_in_the_table(project) -> None:
    shown = project.run("--help").stdout.str()
    table = options.table()
    for option in options.OPTIONS:
        assert option.flag is None or f"  {option.flag}" in shown
        assert option.ini is None or f"  {option.ini} " in shown
        assert option.help in table
    assert table.count("\n") == len(options.OPTIONS) + 2
