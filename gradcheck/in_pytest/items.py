"""The items of a run: one check of one case, or the errors of a file."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.in_pytest.base import KEY, CheckFailed, GradcheckItem
from gradcheck.in_pytest.scale import cost
from gradcheck.report import clean
from gradcheck.report.entry import Entry
from gradcheck.report.judge import judge
from gradcheck.report.text import error_text
from gradcheck.result import Finding, Result

if TYPE_CHECKING:
    from gradcheck.in_pytest.session import Apart
    from gradcheck.names.registry import Registry
    from gradcheck.yamlcases.case import Case


def skipped(reason: str) -> BaseException:
    """What `pytest.skip` raises; with -rs pytest names the case and not this line as its place."""
    error = pytest.skip.Exception(reason)
    error._use_item_location = True
    return error


class CaseItem(GradcheckItem):
    """One check of one case."""

    def __init__(self, *, case: Case, registry: Registry, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.registry = registry
        self.check = self.name
        self.session_of_checks = self.config.stash[KEY]
        self.seed = self.session_of_checks.seed_of(case)

    def new_entry(self) -> Entry:
        from gradcheck.engine import entry_of

        return entry_of(self.case, self.check, seed=self.seed).but(nodeid=self.nodeid)

    def cost(self, measured: float | None) -> float:
        fields = self.registry.get("check", self.check).value.Options.model_fields
        given = {name: field.default for name, field in fields.items()}
        return cost(self.case, self.check, {**given, **self.case.checks[self.check]}, measured)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int, str]:
        # pytest would print the dots of a name as '::' if this were the end of the node id.
        between = " :: " if "." in f"{self.case.name}{self.check}" else "::"
        title = f"{self.case.name}{between}{self.check}"
        return self.path, max(self.case.place.line - 1, 0), title

    @property
    def rerun(self) -> str:
        """The part of the node id that re-runs this item from where pytest was started."""
        path = self.session_of_checks.rerun_path(self.path)
        return f"{path}::{self.case.name}::{self.check}"

    def setup(self) -> None:
        reason = self.case.skip_reason()
        if reason is not None:
            raise skipped(reason)

    def runtest(self) -> None:
        started = time.perf_counter()
        try:
            result = clean.result(self.run_check())
        except BaseException:
            self.keep(self.entry.but(outcome="error", seconds=time.perf_counter() - started))
            raise
        seconds = time.perf_counter() - started
        self.keep(self.entry.with_result(result).but(seconds=seconds))
        self.ihook.pytest_gradcheck_result(
            item=self, case=self.case, check=self.check, result=result
        )
        self.conclude(result)

    def run_check(self) -> Result:
        """What the check found, here or in a child process."""
        from gradcheck.isolation.timed import limit_of, run_timed

        session = self.session_of_checks
        others = session.reported_beside(self)
        apart = session.isolates(self.case)
        with session.running(
            self, limit_of(self.case, session.time_limit), apart=apart is not None
        ):
            if apart is not None:
                return self.run_apart(apart, others)
            return run_timed(
                self.case,
                self.check,
                self.registry,
                seed=self.seed,
                default=session.time_limit,
                others=others,
            )

    def run_apart(self, how: Apart, others: Collection[str]) -> Result:
        from gradcheck.isolation.job import CannotIsolate, Job

        session, case = self.session_of_checks, self.case
        job = Job(case, self.check, self.seed, session.time_limit, tuple(sorted(others)))
        home = case.op and self.registry.get("op", case.op, case.framework).where
        try:
            result = session.isolation().run(
                session.setup_of(self.registry), job, fresh=how.fresh, home=home
            )
        except CannotIsolate as error:
            text = f"{self.nodeid} cannot run in a child process: {error}"
            self.keep(self.entry.but(text=text))
            raise CheckFailed(text, str(error)) from None
        return dataclasses.replace(result, notes=(*result.notes, *how.notes))

    def stuck_entry(self, limit: float, where: str | None) -> Entry:
        """The entry of this item when it ends the process, since it could not be stopped."""
        from gradcheck.isolation.timed import too_long

        finding = too_long(self.case, self.check, limit, where)
        return judge(
            self.entry.but(seconds=limit), Result(findings=(finding,)), (), rerun=self.rerun
        )

    def conclude(self, result: Result) -> None:
        """Turn the result into pytest's outcome."""
        option = self.config.option
        entry = judge(
            self.entry,
            result,
            [x for x in self.case.xfail if x.check == self.check],
            verbose=option.verbose > 1,
            rerun=self.rerun,
            runxfail=getattr(option, "runxfail", False),
        )
        self.keep(entry)
        if entry.outcome == "xfailed":
            pytest.xfail(entry.reason or "")
        if entry.outcome == "skipped":
            raise skipped(entry.reason or "")
        if entry.text is not None:
            raise CheckFailed(entry.text, entry.headline)


class BadFileItem(GradcheckItem):
    """The errors of a file of cases, all of them, each with its place."""

    def __init__(self, *, errors: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.errors = errors
        self.line = int(getattr(errors[0], "line", 1))

    def new_entry(self) -> Entry:
        findings = [
            Finding(
                code="bad_case_file",
                message=str(getattr(error, "message", error)),
                where=str(error).partition(": ")[0],
            )
            for error in self.errors
        ]
        return Entry.at(self.nodeid, line=self.line, findings=tuple(findings))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int, str]:
        return self.path, max(self.line - 1, 0), f"errors in {self.path.name}"

    def runtest(self) -> None:
        text = error_text(self.errors)
        self.keep(self.entry.but(outcome="error", text=text))
        raise CheckFailed(text, str(self.errors[0]))
