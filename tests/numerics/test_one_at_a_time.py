"""`batched: false`: no op gets several stacked copies of an input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.engine import run_check
from gradcheck.numerics.ops.masked import FiniteResults
from gradcheck.yamlcases.case import Case, InputSpec
from tests.test_engine import made

seen: list[int] = []


def product(x, w):
    """Not elementwise, so that entries cannot all move at once."""
    seen.append(max(x.ndim, w.ndim))
    return x @ w, lambda g: (g @ w.swapaxes(-1, -2), x.swapaxes(-1, -2) @ g)


def wrong_product(x, w):
    return x @ w, lambda g: (g @ w.swapaxes(-1, -2), 1.001 * (x.swapaxes(-1, -2) @ g))


def case(*, batched: bool) -> Case:
    inputs = {"x": InputSpec(shape=(3, 4)), "w": InputSpec(shape=(4, 2))}
    checks = {"gradient": {"variants": False}}
    return Case(name="c", op="op", inputs=inputs, checks=checks, batched=batched)


@pytest.mark.parametrize("batched", [True, False])
def test_no_stacked_copies_when_the_case_says_so(batched: bool) -> None:
    seen.clear()
    result = run_check(case(batched=batched), "gradient", made(product))
    assert result.outcome == "passed"
    assert result.measurements["entries_verified"] == 20
    assert (max(seen) > 2) is batched


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_pullback_is_found_one_at_a_time(seed: int) -> None:
    result = run_check(case(batched=False), "gradient", made(wrong_product), seed=seed)
    assert result.findings[0].code == "wrong_gradient"
    assert result.findings[0].parameter == "w"


def test_a_call_that_may_not_be_stacked_stays_so_when_its_infinities_are_left_out() -> None:
    class Call:
        name, attrs, where, inputs, input_names, sources, needs = "op", {}, None, (), (), (), ()
        may_stack = False

        def run(self, inputs: Any) -> Any: ...
        def vjp(self, inputs: Any) -> Any: ...

    assert FiniteResults(Call(), np.ones(2, bool)).may_stack is False  # type: ignore[arg-type]
