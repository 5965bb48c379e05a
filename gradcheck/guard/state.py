"""What a subject changed in the process: put back after every check, and told.

One subject must not decide the verdict on the next. What only changes how code runs (the working
directory, a limit) becomes a note. A replaced function of numpy, of Python or of its library is a
finding: nothing that was measured meanwhile can be trusted.
"""

from __future__ import annotations

import builtins
import concurrent.futures.thread
import contextlib
import json
import math
import operator
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from gradcheck.crash import is_users
from gradcheck.result import Finding
from gradcheck.source.line import Line
from gradcheck.source.where import where_of

MODULES: tuple[ModuleType, ...] = (np, np.linalg, np.fft, builtins, math, os, os.path, time, json)
"""Modules whose functions gradcheck itself and every subject rely on."""

OWN_USE = {"os": ("environ",), "builtins": ("_", "__build_class__", "__import__")}
"""Names that tools other than the subject set: a REPL, a debugger, an import hook."""

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)
)
SHOWN = 3
"""Replaced functions that a finding names."""


class Lent:
    """A text stream that a subject may use and not close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.was_closed = False

    def close(self) -> None:
        self.was_closed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Lent:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Any:
        return iter(self._stream)


@dataclass(frozen=True)
class Changed:
    """What was put back. notes: sentences. replaced: 'numpy.exp' -> the line of what stood there.

    lasting: something could not be put back (a thread that runs on, a limit).
    """

    notes: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str | None], ...] = ()
    lasting: bool = False

    @property
    def nothing(self) -> bool:
        return not (self.notes or self.replaced)

    def finding(self, subject: str) -> Finding | None:
        if not self.replaced:
            return None
        names = ", ".join(name for name, _ in self.replaced[:SHOWN])
        if len(self.replaced) > SHOWN:
            names += f" and {len(self.replaced) - SHOWN} more"
        where = self.replaced[0][1]
        line = Line.parse(where)
        return Finding(
            code="replaced_function",
            message=f"{subject} replaced {names} for the whole process while it was checked; "
            "what was measured meanwhile cannot be trusted",
            where=where,
            lines=(f"by what is defined at {where}   {line.code}".rstrip(),) if line else (),
            advice="call a function of your own instead; the original was put back",
        )


class State:
    """The state of the process before a check; `restored` afterwards puts it back."""

    def __init__(self) -> None:
        self.functions = [vars(module).copy() for module in MODULES]
        self.folder = here()
        self.recursion = sys.getrecursionlimit()
        self.streams = (sys.stdout, sys.stderr)
        self.lent = tuple(None if s is None else Lent(s) for s in self.streams)
        self.threads = set(threading.enumerate())
        self.randoms = (random.getstate(), np.random.get_state())
        self.main = threading.current_thread() is threading.main_thread()
        self.handlers = {s: signal.getsignal(s) for s in SIGNALS} if self.main else {}
        self.blocked = blocked() if self.main else None
        self.files = file_limit()
        sys.stdout, sys.stderr = self.lent

    def restored(self) -> Changed:
        """Put everything back and say what was changed. Random generators are put back silently:
        drawing from them is no fault."""
        replaced = self._functions()  # first: the rest needs them
        notes = [
            *self._streams(),
            *self._folder(),
            *self._limits(),
            *self._signals(),
        ]
        random.setstate(self.randoms[0])
        np.random.set_state(self.randoms[1])
        left = [t.name for t in left_running(self.threads)]
        if left:
            notes.append(
                f"a thread was left running ({', '.join(sorted(left))}): Python waits for it when "
                "the run ends"
            )
        return Changed(tuple(notes), tuple(replaced), lasting=bool(left))

    def _functions(self) -> list[tuple[str, str | None]]:
        found: list[tuple[str, str | None]] = []
        for module, before in zip(MODULES, self.functions):
            now = vars(module)
            if all(map(operator.is_, before.values(), map(now.get, before))):
                continue
            for name, value in before.items():
                other = now.get(name)
                if other is value or name in OWN_USE.get(module.__name__, ()):
                    continue
                setattr(module, name, value)
                if callable(value):
                    found.append((f"{module.__name__}.{name}", users_place(other)))
        return found

    def _streams(self) -> list[str]:
        notes = []
        for name, before, lent in zip(("stdout", "stderr"), self.streams, self.lent):
            now = getattr(sys, name)
            if now is not lent:
                notes.append(f"sys.{name} was replaced; it is put back")
            elif lent is not None and lent.was_closed:
                notes.append(f"sys.{name} was closed; it is kept open")
            setattr(sys, name, before)
        return notes

    def _folder(self) -> list[str]:
        if self.folder is None or here() == self.folder:
            return []
        with contextlib.suppress(OSError):  # it was deleted: nothing to go back to
            os.chdir(self.folder)
        return [f"the working directory was changed; it is {self.folder} again"]

    def _limits(self) -> list[str]:
        notes = []
        if sys.getrecursionlimit() != self.recursion:
            now = sys.getrecursionlimit()
            sys.setrecursionlimit(self.recursion)
            notes.append(f"the recursion limit was set to {now}; it is {self.recursion} again")
        files = file_limit()
        if files is not None and self.files is not None and files != self.files:
            import resource

            with contextlib.suppress(OSError, ValueError):  # a hard limit only goes down
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.files[0], files[1]))
            notes.append(f"the limit of open files was set to {files[0]}; it is put back")
        return notes

    def _signals(self) -> list[str]:
        notes = []
        for number, before in self.handlers.items():
            if signal.getsignal(number) != before:
                signal.signal(number, signal.SIG_DFL if before is None else before)
                notes.append(f"the handler of {number.name} was changed; it is put back")
        if self.blocked is not None and blocked() != self.blocked:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked)
            notes.append("signals were blocked; they are delivered again")
        return notes


def left_running(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads since `before` that Python waits for at its end. It ends those of a pool itself."""
    pooled = getattr(concurrent.futures.thread, "_threads_queues", {})
    return [t for t in set(threading.enumerate()) - before if not t.daemon and t not in pooled]


def users_place(value: Any) -> str | None:
    """Where the user defined what stands in a function's place; None for what somebody else did."""
    at = Line.parse(where_of(value)) if callable(value) else None
    return str(at) if at is not None and is_users(at.file) else None


def here() -> str | None:
    """The working directory; None where it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


def blocked() -> set[int] | None:
    if not hasattr(signal, "pthread_sigmask"):
        return None
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def file_limit() -> tuple[int, int] | None:
    """(soft, hard) limit of open files, where the system has one."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrlimit(resource.RLIMIT_NOFILE)
