"""The parent's side of a child process: starting it, reading from it, ending it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.guard.death import Death
from gradcheck.isolation.job import CannotIsolate, Job, Setup, packed

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from gradcheck.isolation.child import main; main(*sys.argv[2:])"
)
LOOK = 0.5
"""Seconds between two looks at a process that says nothing: a fork of the subject's may keep the
pipe open after its death."""
AFTER_DEATH = 5.0
"""Seconds that a killed process may take to end."""
MOST_SHOWN = 100_000
"""Bytes of what a check printed that are handed on."""


class Late(Exception):
    """The child said nothing until the time given."""


@dataclass(frozen=True)
class Died(Exception):
    """The child ended before it answered."""

    death: Death


class BugInChild(Exception):
    """gradcheck, or a check, raised in the child; the message is the traceback from there."""


class Child:
    """A child process that runs one check after the other."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.checks: list[str] = []
        """What ran in it."""
        self._folder = tempfile.TemporaryDirectory(prefix="gradcheck-", ignore_cleanup_errors=True)
        self._files = {n: Path(self._folder.name, n) for n in ("out", "err", "dump")}
        self._read = dict.fromkeys(self._files, 0)
        for file in self._files.values():
            file.touch()
        self._replies: queue.Queue[bytes | None] = queue.Queue()
        with self._files["err"].open("ab") as err:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    PROGRAM,
                    json.dumps(setup.path),
                    str(self._files["out"]),
                    str(self._files["dump"]),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                start_new_session=True,  # the user's ^C is for the run, which then ends this one
            )
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(packed(setup))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put(None)

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died: `_reply` says so
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def ready(self, seconds: float | None) -> None:
        """Wait until the names are loaded. Raises Died or Late."""
        self._reply("ready", seconds)

    def ask(self, job: Job) -> None:
        self._send(packed(job))
        self._reply("started", AFTER_DEATH * 2)
        self.checks.append(f"{job.case.name}::{job.check}")

    def answer(self, seconds: float | None) -> Mapping[str, Any]:
        """The reply with the result. Raises Died or Late."""
        return self._reply(None, seconds)

    def _reply(self, step: str | None, seconds: float | None) -> Mapping[str, Any]:
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = LOOK if until is None else min(LOOK, until - time.monotonic())
            if left <= 0:
                raise Late
            try:
                line = self._replies.get(timeout=left)
            except queue.Empty:
                if self._process.poll() is None:
                    continue
                line = None if self._replies.empty() else self._replies.get()
            if line is None:
                raise Died(self.end())
            values: Mapping[str, Any] = json.loads(line)
            if values["step"] == "refused":
                raise CannotIsolate(values["text"])
            if values["step"] == "raised":
                raise BugInChild(values["text"])
            if step is None or values["step"] == step:
                return values

    def printed(self, name: str) -> str:
        """What was written to 'out', 'err' or 'dump' since this was last asked, at most its end."""
        with self._files[name].open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._read[name], size - MOST_SHOWN))
            self._read[name] = size
            return file.read().decode("utf-8", "replace")

    def dumped(self) -> str:
        return self.printed("dump")

    def end(self) -> Death:
        """How it ended; it is killed where it does not, and so is all that it started."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # a core file takes its time
            self._process.wait(timeout=AFTER_DEATH)
        status = self._process.poll()
        self.kill()
        return Death(-9 if status is None else status, self.dumped(), self.printed("err"))

    def kill(self) -> None:
        """Kill it and wait for its end."""
        with contextlib.suppress(OSError):  # gone
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # in the kernel: nothing ends it
            self._process.wait(timeout=AFTER_DEATH)

    def close(self) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._folder.cleanup()
