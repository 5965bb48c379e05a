"""All calls of all ops, see op_call."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.tinytorch import op_table_arrays, op_table_layers, op_table_maths
from tests.tinytorch.op_call import CALLS, Call

__all__ = ["CALLS", "Call", "of_every_op", "op_table_arrays", "op_table_layers", "op_table_maths"]


def of_every_op(calls: Iterable[Call] = CALLS) -> Callable[[Callable[[Call], None]], object]:
    """Make a check of one call a test of each op, which runs all calls of that op.

    A check takes a millisecond, and so does what pytest does around a test: 500 calls times seven
    checks are no tests of their own. Where one fails, the traceback shows its `call`.
    """
    by_op: dict[str, list[Call]] = {}
    for call in calls:
        by_op.setdefault(call.op, []).append(call)

    def decorate(check: Callable[[Call], None]) -> object:
        @pytest.mark.parametrize("op", by_op)
        def test(op: str) -> None:
            for call in by_op[op]:
                check(call)

        test.__doc__ = check.__doc__
        return test

    return decorate
