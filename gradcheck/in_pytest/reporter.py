"""Receives the entry of every item, in the serial run or in xdist's controller, and reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import options
from gradcheck.in_pytest.base import Failure, GradcheckItem
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
from gradcheck.report.stepsummary import write_step_summary
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
        self.problems: list[str] = []
        """Sentences about reports that could not be written."""
        self.collected: set[str] = set()
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
            return jsonfile.read(path, whole=True)
        except jsonfile.BadReport as error:
            raise pytest.UsageError(f"--gradcheck-baseline: {error}") from None

    def open_json(self) -> jsonfile.JsonReport | None:
        path = self.path_of("json")
        if path is None or self.config.option.collectonly:
            return None
        try:
            return jsonfile.JsonReport(path)
        except jsonfile.Unwritable as error:
            raise pytest.UsageError(f"--gradcheck-json: {error}") from None

    def try_html(self) -> None:
        """Raise pytest.UsageError now for a page that cannot be written when all is done."""
        path = self.html_path
        if path is None:
            return
        if path == self.path_of("json"):
            raise pytest.UsageError(
                f"--gradcheck-html and --gradcheck-json both write {path}; name two files"
            )
        from gradcheck.report.html import MARK

        try:
            jsonfile.look_at(path, MARK)
        except jsonfile.Unwritable as error:
            raise pytest.UsageError(f"--gradcheck-html: {error}") from None

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
                style = self.config.option.tbstyle
                failure = Failure(entry.text, entry.headline, entry, style)
                report.longrepr = failure  # type: ignore[assignment]
        elif report.outcome == "skipped":
            self.receive(stopped_entry(entry, report))

    def receive(self, entry: Entry) -> None:
        self.entries[entry.nodeid] = entry
        if self.json is not None:
            if not self.json.begun:  # what was there before must not be lost if this run dies
                for known in self.session.resumed.all_known():
                    self.json.add(known)
            self.json.add(entry)

    def in_order(self) -> list[Entry]:
        """The entries in the order of collection, which is the same in every run."""
        return sorted(self.entries.values(), key=lambda e: e.order)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        output = getattr(node, "workeroutput", None) or {}
        self.failures += output.get("gradcheck_plugin_failures", ())
        self.session.resumed.take(output.get("gradcheck_kept", {}))

    def plugin_failures(self) -> list[str]:
        """Without those that the error of a case file already says."""
        said = "\n".join(e.text or "" for e in self.entries.values() if e.check is None)
        found = dict.fromkeys([*self.session.failures, *self.failures])
        return [sentence for sentence in found if sentence not in said]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Before junit writes its file."""
        kept = self.session.resumed.kept
        self.entries = {**kept, **self.entries}
        if any(e.failed for e in kept.values()) and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
        elif kept and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = exitstatus = pytest.ExitCode.OK  # nothing was missing
        found = self.in_order()
        complete = self.is_complete(session, exitstatus)
        self.session.remembered.learn(found)
        write_durations(self.config, {e.nodeid: e.seconds for e in found if e.check})
        if self.json is not None:
            self.json.finish(found, complete=complete)
            self.problems += [self.json.problem] if self.json.problem else []
        if self.html_path is not None and found and not self.config.option.collectonly:
            from gradcheck.report.html import write

            try:
                write(self.html_path, jsonfile.document(found, complete=complete))
            except OSError as error:
                self.problems.append(f"{self.html_path} was not written: {error.strerror}")
        if self.problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # who asked for a report needs it
        if self.baseline is not None and not self.config.option.collectonly:
            self.changes = baseline.compare(self.baseline, found)
            if self.changes.worse:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def is_complete(self, session: pytest.Session, exitstatus: int) -> bool:
        """Whether every item that was collected has an entry, and the run ended by itself."""
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return False
        here = [item.nodeid for item in session.items if isinstance(item, GradcheckItem)]
        return self.entries.keys() >= {*here, *self.collected}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """The items are known to the workers only."""
        alone = self.session.cases_alone
        self.collected.update(i for i in ids if alone or is_case_node(i))

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        verbosity = self.config.option.verbose
        found = self.in_order()
        lines = summary_lines(found, self.plugin_failures(), verbosity)
        resumed = self.session.resumed.line()
        lines += [resumed] if resumed else []
        lines += [f"report: {sentence}" for sentence in self.problems]
        if self.changes is not None:
            lines += self.changes.lines()
        if in_actions():
            lines += annotation_lines(found, self.config.rootpath)
            write_step_summary(found)
        if lines:
            terminalreporter.ensure_newline()
            terminalreporter.section("gradcheck")
            for line in lines:
                terminalreporter.write_line(line)


def is_case_node(nodeid: str) -> bool:
    return nodeid.partition("::")[0].lower().endswith((".yaml", ".yml"))
