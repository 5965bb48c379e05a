"""`os._exit` of a subject: an exception instead of the end of the run."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import NoReturn


class EndedProcess(BaseException):
    """The subject called `os._exit`, which would have ended the run without a word."""


@contextlib.contextmanager
def no_exit() -> Iterator[None]:
    """Inside the block `os._exit` raises EndedProcess in this process. A forked child keeps the
    real one: `multiprocessing` ends its children with it."""
    real = os._exit
    owner = os.getpid()

    def exits(status: int) -> NoReturn:
        if os.getpid() != owner or threading.current_thread() is not threading.main_thread():
            real(status)
        raise EndedProcess(f"os._exit({status})")

    os._exit = exits
    try:
        yield
    finally:
        os._exit = real
        if os.getpid() != owner:  # a fork that was left to run on as if it were this process
            real(1)
