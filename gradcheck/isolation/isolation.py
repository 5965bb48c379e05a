"""Running checks apart: one child process at a time, kept while it can be trusted."""

from __future__ import annotations

import dataclasses
import sys

from gradcheck.crash import is_users
from gradcheck.guard.death import Death, frames
from gradcheck.isolation.job import CannotIsolate, Job, Setup
from gradcheck.isolation.process import BugInChild, Child, Died, Late
from gradcheck.isolation.timed import limit_of, too_long
from gradcheck.numerics.telling.blame import at_home
from gradcheck.result import Finding, Result

GRACE = 2.0
"""Seconds after its limit at which a check that Python could not stop is killed."""
LOADING = 600.0
"""Seconds that the plugins may take to load where the check has no limit."""
NAMED = 5
"""Earlier checks of a process that a finding names."""


class Isolation:
    """Runs checks in child processes. A process is started anew after a crash, a timeout, a change
    of global state that could not be put back, and for every check that asks for a fresh one."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def run(self, setup: Setup, job: Job, *, fresh: bool, home: str | None = None) -> Result:
        """The result of the check, as in this process; or the finding that it ended its own.

        fresh: in a process that ran nothing before and runs nothing after it. home: where the op of
        the case is registered. Raises CannotIsolate and BugInChild.
        """
        if self._child is not None and (fresh or self._child.setup != setup):
            self.close()
        before = [] if self._child is None else list(self._child.checks)
        try:
            return self._once(setup, job)
        except Died as died:
            self.close()
            if not before:
                return Result(findings=(self._finding(job, died.death, home),))
            return self._again(setup, job, died.death, before, home)
        finally:
            if fresh or sys.exc_info()[0] is not None:  # ^C: nothing is left running
                self.close()

    def _again(
        self, setup: Setup, job: Job, death: Death, before: list[str], home: str | None
    ) -> Result:
        """After a death in a process that had run other checks: whose doing was it?"""
        try:
            result = self._once(setup, job)
        except Died as died:
            self.close()
            return Result(findings=(self._finding(job, died.death, home),))
        earlier = ", ".join(before[-NAMED:])
        finding = dataclasses.replace(
            self._finding(job, death, None),
            message=f"the process {death.words} in {job.check}, which runs to its end alone: a "
            "check before it in that process damaged its memory",
            advice=f"set `isolate: true` for the cases that ran before it ({earlier}): each check "
            "then has a process of its own",
        )
        return dataclasses.replace(result, findings=(finding, *result.findings), reason=None)

    def _once(self, setup: Setup, job: Job) -> Result:
        limit = limit_of(job.case, job.default)
        child = self._child or Child(setup)
        try:
            if self._child is None:
                self._child = child
                child.ready(LOADING if limit is None else max(limit, LOADING))
            child.ask(job)
            reply = child.answer(None if limit is None else limit + GRACE)
        except (BugInChild, CannotIsolate):
            self.close()
            raise
        except Late:
            child.kill()
            finding = self._too_long(job, child)
            self.close()
            return Result(findings=(finding,))
        finally:
            if self._child is not None:
                sys.stdout.write(child.printed("out"))
        sys.stderr.write(child.printed("err"))
        if reply["spoiled"]:
            self.close()
        return Result.from_json(reply["result"])

    def _too_long(self, job: Job, child: Child) -> Finding:
        """The finding about a check that had to be killed, with the place from the dump."""
        lines = (line for line in frames(child.dumped()) if is_users(line.file))
        place = next(lines, None)
        limit = limit_of(job.case, job.default)
        return too_long(
            job.case,
            job.check,
            LOADING if limit is None else limit,
            None if place is None else str(place),
        )

    def _finding(self, job: Job, death: Death, home: str | None) -> Finding:
        finding = death.finding(job.case.subject_name, job.check, op=job.case.op)
        return at_home(finding, home)
