"""Watching the item that runs: signs of life in a log, and the end of one that cannot be stopped.

The alarm of `gradcheck.guard.deadline` cannot interrupt one long call of C code, nor code that
swallows every exception. Then there is no way back into the run: after a while this process ends,
with the place, with the entry in the report, and with exit status 1. `isolate: true` avoids that.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

EVERY = 1.0
FIRST_SIGN = 60.0
"""Seconds after which a log says what is running; then after twice as long, and so on."""
GRACE = 5.0
"""Seconds after its time limit at which an item that could not be stopped ends the process ..."""
HELD = 10.0
"""... and at which Python's C code ends it, where no thread of Python could: the call does not
release the interpreter."""


class Watch:
    """stuck: called in another thread, before the process ends, with the place of the main one."""

    def __init__(
        self, log: IO[str] | None, stuck: Callable[[Any, float, str | None], None], *, timer: bool
    ) -> None:
        self.log = log
        self.stuck = stuck
        self.timer = timer
        """Whether faulthandler's timer is free."""
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._now: tuple[Any, float, float | None] | None = None
        self._sign = FIRST_SIGN

    @contextlib.contextmanager
    def item(self, item: Any, limit: float | None) -> Iterator[None]:
        """Around the work of an item. limit: its time limit where this process must keep it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="gradcheck-watch", daemon=True)
            self._thread.start()
        self._sign = FIRST_SIGN
        self._now = (item, time.monotonic(), limit)
        held = limit is not None and self.timer and self.log is not None
        if held:
            assert limit is not None
            faulthandler.dump_traceback_later(limit + HELD, exit=True, file=self.log)  # type: ignore[arg-type]
        try:
            yield
        finally:
            self._now = None
            if held:
                faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(EVERY):
            now = self._now
            if now is None:
                continue
            item, started, limit = now
            seconds = time.monotonic() - started
            if seconds >= self._sign:
                while self._sign <= seconds:
                    self._sign *= 2
                self.say(f"still running after {seconds:.0f} s: {item.nodeid}")
            if limit is not None and seconds > limit + GRACE and self._now is now:
                self._end(item, limit)

    def _end(self, item: Any, limit: float) -> None:
        from gradcheck.crash import where_now

        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        where = None if frame is None else where_now(frame)
        at = f", at {where}" if where else ""
        self.say(
            f"{item.nodeid} still runs {GRACE:g} s after its time limit of {limit:g} s{at}; Python "
            "cannot stop what runs there, so this process ends. With `isolate: true` in the case, "
            "or --gradcheck-isolate, such a check is ended and the run goes on"
        )
        try:
            self.stuck(item, limit, where)
        finally:
            os._exit(1)

    def say(self, text: str) -> None:
        if self.log is not None:
            with contextlib.suppress(OSError, ValueError):  # the log is closed or full
                self.log.write(f"\ngradcheck: {text}\n")
                self.log.flush()


def copy_of_stderr() -> IO[str] | None:
    """A stream to where stderr goes now; made while pytest does not capture it."""
    try:
        return os.fdopen(os.dup(sys.__stderr__.fileno()), "w", encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return None
