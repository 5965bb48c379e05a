"""Says that options were given which do nothing without --gradcheck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


class Unused:
    """flags: the options of gradcheck on the command line, of which --gradcheck is none."""

    def __init__(self, config: pytest.Config, flags: Sequence[str]) -> None:
        self.config = config
        self.flags = flags

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        reporter = self.config.pluginmanager.get_plugin("gradcheck-reporter")
        if reporter is not None and reporter.entries:
            return  # of tests with the fixture: something was checked, and is in the report
        given = ", ".join(self.flags)
        word = "does" if len(self.flags) == 1 else "do"
        terminalreporter.ensure_newline()
        terminalreporter.section("gradcheck", yellow=True)
        terminalreporter.write_line(
            f"{given} {word} nothing in this run: no case was run, since --gradcheck is not given, "
            "and no test used the fixture `gradcheck`",
            yellow=True,
        )
