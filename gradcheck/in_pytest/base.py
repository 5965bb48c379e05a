"""What the parts of a run share: the key of its session, and the base of its items."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.in_pytest.reports import attach
from gradcheck.report.entry import LAST, Entry
from gradcheck.report.text import INDENT

if TYPE_CHECKING:
    from gradcheck.in_pytest.session import Session

KEY: pytest.StashKey[Session] = pytest.StashKey()
"""Where `config.stash` has the session of gradient checks."""


class CheckFailed(Exception):
    """Carries the failure text to `repr_failure`."""

    def __init__(self, text: str, headline: str) -> None:
        super().__init__(headline)
        self.text = text
        self.headline = headline


@dataclass(frozen=True)
class Crash:
    """What pytest's short summary shows of a failure, and --tb=line all of it."""

    message: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class Failure:
    """What `repr_failure` returns: the text, and a headline for pytest's short summary.

    entry: whose text it is, so that a terminal with colours marks verdict and advice. style: that
    of --tb; `short` leaves the supporting lines out.
    """

    def __init__(
        self, text: str, headline: str, entry: Entry | None = None, style: str = "auto"
    ) -> None:
        self.text = text
        findings = () if entry is None else entry.findings
        self.messages = [INDENT + m for f in findings for m in f.message.splitlines()]
        self.advice = [INDENT + m for f in findings for m in (f.advice or "").splitlines()]
        self.style = style
        place = "" if entry is None else f"{entry.file}:{entry.line}" if entry.line else entry.file
        self.reprcrash = Crash(headline, place)

    def toterminal(self, tw: Any) -> None:
        if self.style == "line":  # pytest writes `reprcrash` after it
            return
        first, _, rest = self.text.partition("\n")
        tw.line(first, red=True, bold=True)
        for line in rest.splitlines():
            if line in self.messages:
                tw.line(line, bold=True)
            elif line in self.advice:
                tw.line(line, green=True, bold=True)
            elif self.style != "short" or line.strip().startswith("re-run: "):
                tw.line(line)

    def __str__(self) -> str:
        return self.text


class GradcheckItem(pytest.Item):
    """An item with an entry that travels with its reports."""

    order = LAST
    entry: Entry

    def start_entry(self) -> None:
        """Called before anything of the item runs, since a mark may skip it."""
        self.keep(self.new_entry().but(order=self.order))

    def keep(self, entry: Entry) -> None:
        self.entry = entry
        attach(self.user_properties, entry)

    def new_entry(self) -> Entry:
        """What is known before the item ran."""
        raise NotImplementedError

    def cost(self, measured: float | None) -> float:
        """Seconds that it will take. measured: what it took in an earlier run."""
        return 0.0 if measured is None else measured

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        error = excinfo.value
        if isinstance(error, CheckFailed):
            style = self.config.option.tbstyle
            return Failure(error.text, error.headline, self.entry, style)
        from gradcheck.isolation.process import BugInChild

        if isinstance(error, BugInChild):
            return Failure(str(error), str(error).strip().splitlines()[-1])
        ours = excinfo.traceback.cut(path=inspect.getfile(type(self)))  # without pytest's own calls
        if len(ours):
            excinfo.traceback = ours
        return super().repr_failure(excinfo)
