"""Which cases ended a process before: they run in one of their own from then on.

While an item runs, its node id is in a file of pytest's cache. A process that dies leaves the file,
and the next run reads it. Without a cache, or without the right to write there, nothing is
remembered.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pytest

from gradcheck.report.entry import Entry

KEY = "gradcheck/died"
MOST = 200
DEADLY = ("crashed_process", "worker_lost")
"""Codes of findings about a process that died."""


class Remembered:
    """cases: 'file::case' of what was running when a process died."""

    def __init__(self, config: pytest.Config) -> None:
        self._cache: Any = getattr(config, "cache", None)
        self._worker = hasattr(config, "workerinput")
        self._folder: Path | None = None
        self._running: IO[bytes] | None = None
        self._dump: IO[bytes] | None = None
        given = getattr(config, "workerinput", {}).get("gradcheck_died")
        self.cases: set[str] = set(self._read() if given is None else given)

    def _read(self) -> list[str]:
        if self._cache is None:
            return []
        found = self._cache.get(KEY, [])
        known = [c for c in found if isinstance(c, str)] if isinstance(found, list) else []
        try:
            folder = self._cache.mkdir("gradcheck")
            left = [
                case_of(text)
                for file in folder.glob("running-*")
                if not alive(file) and (text := taken(file))
            ]
        except OSError:  # nothing is remembered where nothing can be written
            return known
        return [*known, *left]

    def open(self) -> None:
        """Before the first item."""
        if self._cache is None:
            return
        try:
            self._folder = self._cache.mkdir("gradcheck")
            self._running = self._file("running").open("wb", buffering=0)
            if self._worker:  # a serial run shows the place of its death on the terminal
                self._dump = self._file("dump").open("wb", buffering=0)
                faulthandler.enable(self._dump)
        except OSError:
            self._folder = self._running = None

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}-{os.getpid()}"

    def begins(self, nodeid: str) -> None:
        if self._running is not None:
            self._running.seek(0)
            self._running.write(os.fsencode(nodeid))

    def ended(self) -> None:
        if self._running is not None:
            self._running.truncate(0)

    def close(self) -> None:
        """At the end of the run."""
        if self._dump is not None:
            faulthandler.enable()  # pytest's own or nobody's: not to a file that is closed
            self._dump.close()
        if self._running is not None:
            self._running.close()
            for name in ("running", "dump"):
                with contextlib.suppress(OSError):
                    self._file(name).unlink(missing_ok=True)
        self._running = self._dump = None

    def dump_of(self, nodeid: str) -> str:
        """What faulthandler wrote in the worker that died while it ran this item; '' if nothing."""
        if self._cache is None:
            return ""
        try:
            for file in self._cache.mkdir("gradcheck").glob("running-*"):
                if file.read_bytes() == os.fsencode(nodeid):
                    dump = file.with_name(file.name.replace("running", "dump"))
                    return dump.read_text("utf-8", "replace")
        except OSError:
            pass
        return ""

    def learn(self, entries: Iterable[Entry]) -> None:
        """Remember whose process died in this run, and forget whose did not."""
        if self._cache is None:
            return
        ran: dict[str, bool] = {}
        for entry in entries:
            if entry.case is not None and entry.outcome != "skipped":
                died = any(f.code in DEADLY for f in entry.findings)
                name = case_of(entry.nodeid)
                ran[name] = ran.get(name, False) or died
        kept = {c for c in self.cases if ran.get(c, True)} | {c for c, died in ran.items() if died}
        if kept or self.cases:
            self._cache.set(KEY, sorted(kept)[:MOST])
        with contextlib.suppress(OSError):
            for file in self._cache.mkdir("gradcheck").glob("*-*"):
                if not alive(file):
                    file.unlink(missing_ok=True)


def case_of(nodeid: str) -> str:
    """'file::case' of 'file::case::check'."""
    return "::".join(nodeid.split("::")[:2])


def taken(file: Path) -> str:
    return os.fsdecode(file.read_bytes())


def alive(file: Path) -> bool:
    """Whether the process that wrote a file still runs: another run in the same folder."""
    pid = file.name.rpartition("-")[2]
    if not pid.isdigit() or os.name == "nt":  # there os.kill does not ask, it kills
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return int(pid) != os.getpid()
