"""Receives the entry of every item, in the serial run or in xdist's controller, and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import options
from gradcheck.in_pytest.base import Failure
from gradcheck.in_pytest.reports import (
    asserted_in,
    entry_in,
    junit_properties,
    lost_entry,
    stopped_entry,
)
from gradcheck.in_pytest.scale import write_durations
from gradcheck.report import baseline, jsonfile
from gradcheck.report.annotations import annotation_lines, in_actions
from gradcheck.report.entry import Entry
from gradcheck.report.terminal import summary_lines

if TYPE_CHECKING:
    from gradcheck.in_pytest.session import Session


class Reporter:
    """Collects entries as reports come in. `entries` is in the order of collection at the end."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self.config = config
        self.session = session
        self.entries: dict[str, Entry] = {}
        self.failures: list[str] = []
        self.changes: baseline.Changes | None = None
        self.baseline = self.read_baseline()  # before the JSON report may replace its file
        self.html_path = self.path_of("html")
        self.try_html()
        self.json = self.open_json()

    def path_of(self, name: str) -> Path | None:
        """A path of the settings: from where pytest was started, or in the ini from its rootdir."""
        given = options.from_command_line(self.config, name)
        if given is not None:
            return Path(self.config.invocation_params.dir, given)
        given = options.from_ini(self.config, name)
        return None if given is None else self.config.rootpath / given

    def read_baseline(self) -> list[Entry] | None:
        path = self.path_of("baseline")
        if path is None:
            return None
        try:
            return jsonfile.read(path)
        except jsonfile.BadReport as error:
            raise pytest.UsageError(f"--gradcheck-baseline: {error}") from None

    def open_json(self) -> jsonfile.JsonReport | None:
        path = self.path_of("json")
        if path is None or self.config.option.collectonly:
            return None
        try:
            return jsonfile.JsonReport(path)
        except OSError as error:
            raise pytest.UsageError(
                f"--gradcheck-json: {path} cannot be written: {error.strerror}"
            ) from None

    def try_html(self) -> None:
        """Raise pytest.UsageError now for a page that cannot be written when all is done."""
        path = self.html_path
        if path is None:
            return
        if path == self.path_of("json"):
            raise pytest.UsageError(
                f"--gradcheck-html and --gradcheck-json both write {path}; name two files"
            )
        there = path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("ab").close()
        except OSError as error:
            raise pytest.UsageError(
                f"--gradcheck-html: {path} cannot be written: {error.strerror}"
            ) from None
        if not there:
            path.unlink()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Before pytest itself counts the report."""
        asserted = asserted_in(report)
        if report.when == "call":
            for each in asserted:
                self.receive(each)
        entry = entry_in(report)
        if entry is None:
            if report.when == "???" and is_case_node(report.nodeid):  # xdist: the worker died
                dump = self.session.remembered.dump_of(report.nodeid)
                self.receive(lost_entry(report.nodeid, str(report.longrepr), dump))
            return
        # junit writes each property as text: the entry would be a page, these are a line each.
        report.user_properties[:] = junit_properties(entry)
        if report.outcome == "failed" and entry.text is None:  # not by a finding
            self.receive(stopped_entry(entry, report))
        elif report.when == "call":
            self.receive(entry)
            if entry.text and isinstance(report.longrepr, str):  # it came from a worker
                report.longrepr = Failure(entry.text, entry.headline)  # type: ignore[assignment]
        elif report.outcome == "skipped":
            self.receive(stopped_entry(entry, report))

    def receive(self, entry: Entry) -> None:
        self.entries[entry.nodeid] = entry
        if self.json is not None:
            self.json.add(entry)

    def in_order(self) -> list[Entry]:
        """The entries in the order of collection, which is the same in every run."""
        return sorted(self.entries.values(), key=lambda e: e.order)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        output = getattr(node, "workeroutput", None) or {}
        self.failures += output.get("gradcheck_plugin_failures", ())

    def plugin_failures(self) -> list[str]:
        """Without those that the error of a case file already says."""
        said = "\n".join(e.text or "" for e in self.entries.values() if e.check is None)
        found = dict.fromkeys([*self.session.failures, *self.failures])
        return [sentence for sentence in found if sentence not in said]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Before junit writes its file."""
        found = self.in_order()
        self.session.remembered.learn(found)
        write_durations(self.config, {e.nodeid: e.seconds for e in found if e.check})
        if self.json is not None:
            self.json.finish(found)
        if self.html_path is not None and not self.config.option.collectonly:
            from gradcheck.report.html import write

            write(self.html_path, jsonfile.document(found))
        if self.baseline is not None and not self.config.option.collectonly:
            self.changes = baseline.compare(self.baseline, found)
            if self.changes.worse:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        verbosity = self.config.option.verbose
        found = self.in_order()
        lines = summary_lines(found, self.plugin_failures(), verbosity)
        if self.changes is not None:
            lines += self.changes.lines()
        if in_actions():
            lines += annotation_lines(found, self.config.rootpath)
        if lines:
            terminalreporter.ensure_newline()
            terminalreporter.section("gradcheck")
            for line in lines:
                terminalreporter.write_line(line)


def is_case_node(nodeid: str) -> bool:
    return nodeid.partition("::")[0].lower().endswith((".yaml", ".yml"))
