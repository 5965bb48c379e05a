"""A time limit for a piece of Python code.

The alarm is a signal: Python delivers it between two of its own instructions, so it cannot end one
long call of C code. That takes another process (`gradcheck.isolation`) or the end of this one
(`gradcheck.in_pytest.watch`).
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

AGAIN = 1.0
"""Seconds between two alarms: code under test may swallow the first one."""


class TimedOut(BaseException):
    """Not an Exception: code under test that catches those must not swallow its time limit.

    where: 'file:line' of the user's code that was being run, where it was any.
    """

    where: str | None = None


class deadline:
    """Raise TimedOut inside the block after `seconds`, and again every second until it ends. None
    sets no limit.

    A block that swallowed the exception (a `__del__` does so by itself) and ended late raises it at
    its end. So does one without alarm signals (Windows, other threads than the main one).
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.where: str | None = None
        self._rung = False
        self._over = False
        self._started = 0.0
        self._before: Any = None
        self._alarm = False

    def __enter__(self) -> None:
        if self.seconds is None:
            return
        self._started = time.monotonic()
        self._alarm = hasattr(signal, "setitimer") and (
            threading.current_thread() is threading.main_thread()
        )
        if self._alarm:
            self._before = signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self.seconds, AGAIN)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over = True
        if self._alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
        if self.seconds is None or isinstance(error, TimedOut):
            return
        late = time.monotonic() - self._started > self.seconds
        if self._rung or (late and (error is None or isinstance(error, Exception))):
            raise self._error() from None

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._over:
            return
        if not self._rung and frame is not None:
            from gradcheck.crash import where_now

            self.where = where_now(frame)
        self._rung = True
        raise self._error()

    def _error(self) -> TimedOut:
        error = TimedOut()
        error.where = self.where
        return error
