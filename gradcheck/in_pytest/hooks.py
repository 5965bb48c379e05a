"""The hooks of gradcheck that go through pytest's own manager: for conftest files.

Each sees only the case files in the folder of its conftest and below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gradcheck.names.register import Register
    from gradcheck.result import Result
    from gradcheck.yamlcases.case import Case


@pytest.hookspec
def pytest_gradcheck_configure(config: pytest.Config, register: Register) -> None:
    """Contribute names from a conftest file; called before the first case below it is read.

        def pytest_gradcheck_configure(register):
            register.model("my_model", MyModel)

    `register` is the `gradcheck.Register` that a plugin's hook gets. The names exist only for cases
    in the conftest's folder and below.
    """


@pytest.hookspec(firstresult=True)
def pytest_gradcheck_modify_case(config: pytest.Config, case: Case) -> Case | None:
    """Return a changed copy of a case, or None to leave it as it is. The first answer counts.

    def pytest_gradcheck_modify_case(case):
        return case.model_copy(update={"seed": 7})
    """


@pytest.hookspec
def pytest_gradcheck_result(item: pytest.Item, case: Case, check: str, result: Result) -> None:
    """See the result of every check right after it ran. What it returns is ignored.

    def pytest_gradcheck_result(check, result):
        print(check, result.measurements)
    """
