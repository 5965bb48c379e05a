"""A time limit for a piece of Python code."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimedOut(BaseException):
    """Not an Exception: code under test that catches those must not swallow its time limit.

    where: 'file:line' of the user's code that was being run, where it was any.
    """

    where: str | None = None


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise TimedOut inside the block after `seconds`. None sets no limit.

    Without alarm signals (Windows, other threads than the main one) the block runs to its end and
    TimedOut is raised there.
    """
    if seconds is None:
        yield
        return
    on_time = hasattr(signal, "setitimer") and (
        threading.current_thread() is threading.main_thread()
    )
    if not on_time:
        started = time.monotonic()
        yield
        if time.monotonic() - started > seconds:
            raise TimedOut
        return

    def ring(number: int, frame: FrameType | None) -> None:
        from gradcheck.crash import where_now

        error = TimedOut()
        error.where = where_now(frame) if frame is not None else None
        raise error

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
