"""Whether a KeyboardInterrupt is the user's ^C, or was raised by the code under test."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class interrupts:
    """Around code under test. `by_user`: a ^C came, as far as can be told.

    Where SIGINT is ignored, as in a process that a worker started, no ^C can come. Where somebody
    else handles it, or outside the main thread, nothing can be told and every KeyboardInterrupt
    counts as the user's.
    """

    def __init__(self) -> None:
        self.by_user = True
        self._installed = False

    def __enter__(self) -> interrupts:
        self._installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        self.by_user = not self._installed and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
        if self._installed:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.by_user = True
        raise KeyboardInterrupt
