"""Show on a terminal, after two seconds, what is running and for how long."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

AFTER = 2.0
EVERY = 1.0
# Save the cursor, write without wrapping, clear the rest of the line, restore: what pytest has
# printed on the line stays.
SHOW = "\0337\033[?7l  ... {text} {seconds:.0f} s\033[K\033[?7h\0338"
CLEAR = "\033[K"


class Live:
    """Writes to a copy of stderr made while pytest does not capture it."""

    def __init__(self, stream: IO[Any]) -> None:
        self.stream = stream

    @contextmanager
    def running(self, text: str) -> Iterator[None]:
        """Inside the block, from `AFTER` seconds on, show `text` and the seconds."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(text, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, text: str, done: threading.Event) -> None:
        seconds = AFTER
        shown = False
        while not done.wait(AFTER if not shown else EVERY):
            self._write(SHOW.format(text=text, seconds=seconds))
            seconds += EVERY
            shown = True
        if shown:
            self._write(CLEAR)

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def live_on_terminal() -> Live | None:
    """Return None in CI and where stderr is not a terminal: a log gets complete lines only."""
    if os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return None
    try:
        if not os.isatty(sys.__stderr__.fileno()):  # type: ignore[union-attr]
            return None
        return Live(os.fdopen(os.dup(sys.__stderr__.fileno()), "w", encoding="utf-8"))  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return None
