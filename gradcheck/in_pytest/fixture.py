"""The fixture `gradcheck`: the assertions, with their results in the reports of the run."""

from __future__ import annotations

import time

import pytest

from gradcheck import options
from gradcheck.api.asserting import Assertions
from gradcheck.in_pytest.base import KEY
from gradcheck.in_pytest.reports import attach_asserted
from gradcheck.report.entry import Entry
from gradcheck.report.text import quoted
from gradcheck.result import Result


class GradcheckFixture(Assertions):
    """`assert_gradients`, `assert_trains` and `assert_same_gradients` of one test.

    Their seed is that of the command line, where it gives one.
    """

    def __init__(self, node: pytest.Item) -> None:
        seed = options.from_command_line(node.config, "seed")
        super().__init__(self._note, 0 if seed is None else int(seed))
        self._node = node
        self._entries: list[Entry] = []
        self._since = time.perf_counter()

    def _note(self, subject: str, check: str, result: Result) -> None:
        """Keep the result for the reports of this run, where it has any."""
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        if KEY not in self._node.config.stash:
            return
        self._entries.append(self._entry(subject, check, result).but(seconds=seconds))
        attach_asserted(self._node.user_properties, self._entries)

    def _entry(self, subject: str, check: str, result: Result) -> Entry:
        node = self._node
        _, line, title = node.location
        text = None
        if result.outcome == "failed":
            text = f"{result}\n  re-run: pytest {quoted(node.nodeid)}"
        earlier = sum(e.subject == subject and e.check == check for e in self._entries)
        again = f"#{earlier + 1}" if earlier else ""
        return Entry.at(
            f"{node.nodeid}::{subject}{again}::{check}",
            line=None if line is None else line + 1,
            case=f"{title}, {subject}{again}",
            check=check,
            subject=subject,
            seed=self._seed,
            text=text,
            order=node.session.items.index(node),
        ).with_result(result)
