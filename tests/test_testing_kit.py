"""The test kit for authors of plugins, used the way its docstring says."""

import types

import numpy as np
import pytest

from gradcheck import hookimpl
from gradcheck.testing import Kit, run_case
from tinytorch import op


@op(name="kit_cube")
def cube(x):
    return x**3, lambda g: g * 3 * x**2


@op(name="kit_bad_cube")
def bad_cube(x):
    return x**3, lambda g: g * 2 * x**2


class Plugin:
    @hookimpl
    def gradcheck_register(self, register):
        register.op("cube", cube)
        register.op("bad_cube", bad_cube)


CASE = """
    op: {op}
    inputs: {{x: [2, 3]}}
"""


def test_run_case_tells_a_right_op_from_a_wrong_one():
    assert run_case(CASE.format(op="cube"), Plugin())["gradient"].outcome == "passed"
    result = run_case(CASE.format(op="bad_cube"), Plugin())["gradient"]
    assert result.outcome == "failed"
    assert result.findings[0].parameter == "x"
    assert np.isclose(result.findings[0].analytic / result.findings[0].numeric, 2 / 3)


def test_a_whole_file_with_one_case_will_do_too():
    results = run_case("schema: 1\ncases:\n  c: {op: cube, inputs: {x: [2]}}", Plugin())
    assert list(results) == ["gradient"]


def test_errors_of_the_text_are_all_in_the_message():
    with pytest.raises(AssertionError, match=r"(?s)no op.*'cubic'.*did you mean 'cube'.*inputz"):
        run_case("op: cubic\ninputz: {x: [2]}", Plugin())


def test_every_kit_has_a_registry_of_its_own():
    one, other = Kit(), Kit()
    one.register(Plugin(), "mine")
    assert "cube" in one.registry.names("op", "tinytorch")
    assert "cube" not in other.registry.names("op", "tinytorch")


def test_a_bad_plugin_shows_in_failures():
    module = types.ModuleType("bad")
    module.gradcheck_op = hookimpl(lambda register: None)
    kit = Kit(entry_points=False)
    kit.register(module)
    assert len(kit.failures) == 1
    assert "did you mean 'gradcheck_register'" in kit.failures[0]


def test_the_fixture(pytester):
    pytester.makeconftest('pytest_plugins = ["gradcheck.testing"]')
    pytester.makepyfile(
        '''
        def test_swish(gradcheck_kit):
            results = gradcheck_kit.run_case("""
                op: swish
                inputs: {x: [2, 3], beta: [3]}
            """)
            assert results["gradient"].outcome == "passed"

        def test_fresh(gradcheck_kit):
            assert gradcheck_kit.failures == []
        '''
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
