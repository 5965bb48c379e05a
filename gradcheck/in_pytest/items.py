"""The items of a run: one check of one case, or the errors of a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from gradcheck.in_pytest.deadline import TimedOut, deadline
from gradcheck.in_pytest.scale import cost
from gradcheck.in_pytest.session import KEY
from gradcheck.report.entry import LAST, PROPERTY, new_entry
from gradcheck.report.judge import judge
from gradcheck.report.text import Failure, error_text

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry
    from gradcheck.result import Finding, Result
    from gradcheck.yamlcases.case import Case

T = TypeVar("T")


class CheckFailed(Exception):
    """Carries the failure text to `repr_failure`."""

    def __init__(self, text: str, headline: str) -> None:
        super().__init__(headline)
        self.text = text
        self.headline = headline


def skipped(reason: str) -> BaseException:
    """What `pytest.skip` raises; with -rs pytest names the case and not this line as its place."""
    error = pytest.skip.Exception(reason)
    error._use_item_location = True
    return error


class GradcheckItem(pytest.Item):
    """What both kinds of items share: a JSON entry that travels with the report."""

    order = LAST

    def start_entry(self) -> None:
        """Before anything of the item runs: it may be skipped by a mark."""
        self.entry = self.new_entry()
        self.user_properties.append((PROPERTY, self.entry))

    def new_entry(self) -> dict[str, Any]:
        return new_entry(self.nodeid, order=self.order, **self.known())

    def known(self) -> dict[str, Any]:
        """What the entry says before the item ran."""
        raise NotImplementedError

    def cost(self, measured: float | None) -> float:
        """Seconds that it will take; measured: what it took in an earlier run."""
        return 0.0 if measured is None else measured

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        error = excinfo.value
        if isinstance(error, CheckFailed):
            return Failure(error.text, error.headline)
        ours = excinfo.traceback.cut(path=__file__)  # without pytest's own calls
        if len(ours):
            excinfo.traceback = ours
        return super().repr_failure(excinfo)


class CaseItem(GradcheckItem):
    """One check of one case."""

    def __init__(self, *, case: Case, registry: Registry, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.registry = registry
        self.check = self.name
        self.session_of_checks = self.config.stash[KEY]
        self.seed = self.session_of_checks.seed_of(case)

    def known(self) -> dict[str, Any]:
        case = self.case
        return {
            "file": case.place.file,
            "line": case.place.line,
            "case": case.name,
            "check": self.check,
            "subject": case.subject_name,
            "framework": case.framework,
            "seed": self.seed,
            "yaml": case.place.text,
        }

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
            result = self.run_check()
            self.entry.update(result.to_json())
        except BaseException:
            self.entry["outcome"] = "error"
            raise
        finally:
            self.entry["seconds"] = time.perf_counter() - started
        self.ihook.pytest_gradcheck_result(
            item=self, case=self.case, check=self.check, result=result
        )
        self.tell(result)

    def run_check(self) -> Result:
        from gradcheck.engine import run_check
        from gradcheck.result import Finding, Result

        found = self.in_time(
            lambda: run_check(self.case, self.check, self.registry, seed=self.seed)
        )
        return Result(findings=(found,)) if isinstance(found, Finding) else found

    def in_time(self, run: Callable[[], T]) -> T | Finding:
        """What `run` returns, or the finding that it took too long."""
        from gradcheck.result import Finding

        limit = self.case.timeout
        try:
            with deadline(limit), self.session_of_checks.running(self.nodeid):
                return run()
        except TimedOut as error:
            return Finding(
                code="timeout",
                message=f"{self.check} took longer than the case's timeout of {limit:g} s",
                where=error.where,
                lines=(f"it was at {error.where}",) if error.where else (),
                advice="raise `timeout`, or make the case smaller",
            )

    def tell(self, result: Result) -> None:
        """Turn the result into pytest's outcome."""
        option = self.config.option
        verdict = judge(
            self.case,
            self.check,
            result,
            seed=self.seed,
            verbose=option.verbose > 1,
            rerun=self.rerun,
            runxfail=getattr(option, "runxfail", False),
        )
        self.entry.update(outcome=verdict.outcome, reason=verdict.reason, text=verdict.text)
        if verdict.outcome == "xfailed":
            pytest.xfail(verdict.reason or "")
        if verdict.outcome == "skipped":
            raise skipped(verdict.reason or "")
        if verdict.text is not None:
            raise CheckFailed(verdict.text, verdict.headline)


class BadFileItem(GradcheckItem):
    """The errors of a file of cases, all of them, each with its place."""

    def __init__(self, *, errors: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.errors = errors
        self.line = int(getattr(errors[0], "line", 1))

    def known(self) -> dict[str, Any]:
        findings = [
            {
                "code": "bad_case_file",
                "message": str(getattr(e, "message", e)),
                "where": str(e).partition(": ")[0],
            }
            for e in self.errors
        ]
        return {"line": self.line, "findings": findings}

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int, str]:
        return self.path, max(self.line - 1, 0), f"errors in {self.path.name}"

    def runtest(self) -> None:
        self.entry["outcome"] = "error"
        text = error_text(self.errors)
        self.entry["text"] = text
        raise CheckFailed(text, str(self.errors[0]))
