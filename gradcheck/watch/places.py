"""Whose line it is: the script's own frames, among those of libraries and of gradcheck."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Iterator
from types import FrameType

from gradcheck.names import bundled
from gradcheck.source.line import HOME, Line

_LIBRARIES = tuple(
    os.path.realpath(sysconfig.get_path(name)) + os.sep
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


_ADAPTERS: set[str] = set()


def is_adapters(file: str) -> None:
    """From now on, lines in the folder of this file are nobody's: it is an adapter's."""
    _ADAPTERS.add(os.path.dirname(os.path.realpath(file)) + os.sep)
    is_users.cache_clear()


@functools.lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether somebody who watches a script wrote this file: no library, not gradcheck."""
    path = os.path.realpath(file)
    folder = bundled.folder()
    if (
        file.startswith("<")
        or path.startswith((HOME, *_LIBRARIES, *_ADAPTERS))
        or "site-packages" in path
    ):
        return False
    return folder is None or not path.startswith(str(folder) + os.sep)


def users_frames() -> Iterator[FrameType]:
    """The frames of the user's code that is running, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def users_line() -> Line | None:
    """The innermost line of the user's."""
    frame = next(users_frames(), None)
    return None if frame is None else Line.of_frame(frame)
