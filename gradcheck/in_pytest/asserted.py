"""The message of an assertion about a `Result`: the text of the failure in place of its repr, and
after a comparison of its outcome.

pytest rewrites `assert result` so that the message shows the repr of each part, on one line and cut
to 240 characters. The text of a failure has lines.
"""

from __future__ import annotations

import pytest

from gradcheck.result import Result


def say_why(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Replace the message of an AssertionError that shows a Result which did not pass."""
    error = excinfo.value
    if not isinstance(error, AssertionError) or not len(excinfo.traceback):
        return
    said = str(error)
    # pytest's rewritten assert keeps the parts of the expression in locals of the test
    for value in excinfo.traceback[-1].frame.f_locals.values():
        if not isinstance(value, Result) or value:
            continue
        if repr(value) in said:
            error.args = (str(value),)
            return
        if f"{value.outcome!r} == 'passed'" in said:
            error.args = (f"{said}\n{value}",)
            return
