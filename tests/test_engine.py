"""The engine: whose mistake an exception is, what does not apply."""

from __future__ import annotations

from typing import Any

from gradcheck.checks.gradient.check import Gradient
from gradcheck.engine import check, run_check
from gradcheck.names.registry import Entry, Registry
from gradcheck.yamlcases.case import Case, InputSpec
from tests.support.numerics import registry
from tinytorch import Op


def cube(x):  # without a type: a parameter that has one is not an array
    return x * x * x, lambda g: 3 * g * x * x


def cube_without_three(x):
    return x * x * x, lambda g: g * x * x


def refuses(x):
    raise RuntimeError("no such thing")


class Picky:
    """A check that applies to nothing."""

    name = "picky"

    def applies(self, case: Case) -> str | None:
        return "the case has no model"


def made(op: Any) -> Registry:
    """A registry of this op as `op`, and of two checks."""
    names = registry(op=("op", Op(op, op.__name__)))
    for one in (Gradient(), Picky()):
        names.add(Entry("check", one.name, one, "test", "test.py:1"))
    return names


def case(**checks: Any) -> Case:
    return Case(name="case", op="op", inputs={"x": InputSpec(shape=(2, 3))}, checks=checks)


def test_every_check_of_a_case_by_name() -> None:
    results = check(case(gradient={}), made(cube))
    assert {name: r.outcome for name, r in results.items()} == {"gradient": "passed"}


def test_the_seed_given_is_the_seed_used() -> None:
    names = made(cube_without_three)
    one, same, other = (
        run_check(case(gradient={}), "gradient", names, seed=s).findings[0].analytic
        for s in (1, 1, 2)
    )
    assert one == same != other


def test_what_does_not_apply_is_skipped_with_the_reason() -> None:
    result = run_check(case(picky={}), "picky", made(cube))
    assert result.outcome == "skipped"
    assert result.reason == "picky does not apply: the case has no model"


def test_an_exception_of_the_users_op_is_a_finding_at_its_line() -> None:
    result = run_check(case(gradient={}), "gradient", made(refuses))
    (finding,) = result.findings
    assert "RuntimeError: no such thing" in finding.message
    assert finding.where is not None
    assert "test_engine.py" in finding.where
