"""The fixture `gradcheck`, assertions about a Result, and options that do nothing."""

from __future__ import annotations

import json

import pytest

TESTS = """\
import gradcheck as g
import numpy as np
import pytest
from tinytorch import op

half = op(lambda x: (x * x, lambda g: g * x))
X = np.ones(3)

def test_right(gradcheck):
    gradcheck.assert_gradients(lambda x: x * x, X)

def test_wrong(gradcheck):
    gradcheck.assert_gradients(half, X)

def test_expected(gradcheck):
    with pytest.raises(AssertionError):
        gradcheck.assert_gradients(half, X)

def test_twice(gradcheck):
    for _ in range(2):
        gradcheck.assert_same_gradients(lambda x: x * x, lambda x: x ** 2, X)

def test_bare():
    assert g.check_gradients(half, X)

def test_outcome():
    assert g.check_gradients(half, X).outcome == "passed"
"""
CAUSE = "E *diagnosis: analytic = 0.5 x numeric everywhere: a constant factor of 1/2"


@pytest.fixture
def tests(project):
    project.write("test_mine.py", TESTS)
    return project


def items(project, name: str) -> dict[str, str]:
    found = json.loads((project.path / name).read_text())["items"]
    return {i["nodeid"].removeprefix("test_mine.py::"): i["outcome"] for i in found}


def test_results_appear_in_the_reports(tests) -> None:
    result = tests.run("--gradcheck-json=r.json", "--gradcheck-html=r.html", "--junitxml=j.xml")
    result.assert_outcomes(passed=3, failed=3)
    assert items(tests, "r.json") == {
        "test_right::function::gradient": "passed",
        "test_wrong::function::gradient": "failed",
        "test_expected::function::gradient": "xfailed",
        "test_twice::function::reference": "passed",
        "test_twice::function#2::reference": "passed",
    }
    (wrong,) = (
        i
        for i in json.loads((tests.path / "r.json").read_text())["items"]
        if i["outcome"] == "failed"
    )
    assert wrong["line"] == 12
    assert wrong["findings"][0]["code"] == "wrong_gradient"
    assert 're-run: pytest "test_mine.py::test_wrong"' in wrong["text"]
    assert "constant factor of 1/2" in (tests.path / "r.html").read_text()
    assert "gradcheck-asserted" not in (tests.path / "j.xml").read_text()
    result.stdout.re_match_lines(["gradient *1 passed, 1 failed, 1 xfailed", "reference *2 passed"])


def test_the_message_is_the_text_without_a_line_of_ours(tests) -> None:
    result = tests.run("-k", "wrong or bare or outcome")
    result.assert_outcomes(failed=3)
    assert len([line for line in result.outlines if "constant factor of 1/2" in line]) == 3
    result.stdout.re_match_lines([r">.*gradcheck.assert_gradients\(half, X\)", CAUSE])
    result.stdout.re_match_lines([r">.*assert g.check_gradients\(half, X\)", CAUSE])
    assert "asserting.py" not in str(result.stdout)


@pytest.mark.slow
def test_with_xdist_the_report_is_the_same(tests) -> None:
    pytest.importorskip("xdist")
    tests.run("--gradcheck-json=serial.json")
    tests.run("--gradcheck-json=two.json", "-n", "2")
    assert list(items(tests, "two.json").items()) == list(items(tests, "serial.json").items())


def test_no_report_no_properties(tests) -> None:
    tests.run("--junitxml=j.xml")
    assert "<property" not in (tests.path / "j.xml").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--gradcheck-html=r.html"], "--gradcheck-html does nothing in this run"),
        (["--gradcheck-seed=3", "--gradcheck-set=overfit.steps=2"], "--gradcheck-set do nothing"),
        (["--gradcheck-strict-plugins"], "--gradcheck-strict-plugins does nothing"),
        (["--gradcheck-baseline=old.json"], "old.json cannot be read"),
    ],
)
def test_options_that_do_nothing_without_the_flag_say_so(project, given, said) -> None:
    project.write("test_plain.py", "def test_plain(): pass")
    result = project.run(*given)
    assert said in str(result.stdout) + str(result.stderr)


def test_with_the_fixture_there_is_nothing_to_say(tests) -> None:
    assert "do nothing" not in str(tests.run("-k", "right", "--gradcheck-json=r.json").stdout)


def test_idle_runs_say_nothing(project) -> None:
    project.write("test_plain.py", "def test_plain(): pass")
    # the process of the tests has imported it before, which pytest may warn about
    quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    assert "gradcheck" not in str(project.run("--no-header", *quiet).stdout)
