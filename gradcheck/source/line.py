"""A line of source: how it is shown, as 'file:line' with the file as a person would write it, and
whether it is gradcheck's own, so that it is nobody's mistake."""

from __future__ import annotations

import linecache
import os
from types import FrameType
from typing import NamedTuple


class Line(NamedTuple):
    """A line of somebody's source. `function` names the function around it, where that is known."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{short_path(self.file)}:{self.line}"

    @classmethod
    def of_frame(cls, frame: FrameType) -> Line:
        """The line that a frame is at."""
        return cls(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)

    @classmethod
    def parse(cls, place: str | None) -> Line | None:
        """The line that 'file:line' names; None where the text is something else."""
        file, _, number = (place or "").rpartition(":")
        return cls(file, int(number)) if file and number.isdigit() else None

    @property
    def code(self) -> str:
        """What the file says there, without indentation; '' where it cannot be read."""
        return linecache.getline(self.file, self.line).strip()


def short_path(file: str | os.PathLike[str]) -> str:
    """Relative to the working directory where it lies below it, otherwise absolute."""
    path = os.path.abspath(file)
    try:
        here = os.getcwd()
    except OSError:  # the working directory is gone
        return path
    for known in (path, os.path.realpath(path)):
        if known.startswith(here + os.sep):
            return known[len(here) + 1 :].replace(os.sep, "/")
    return path


def short_place(place: str | None) -> str | None:
    """'file:line' with the file shortened; what is not of that form stays as it is."""
    line = Line.parse(place)
    return place if line is None else str(line)


def with_code(place: str | None) -> str | None:
    """'file:line   text of the line'."""
    line = Line.parse(place)
    return place if line is None or not line.code else f"{place}   {line.code}"


HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
PLUGINS = os.path.join(HOME, "plugins") + os.sep
"""Where the first-party plugins are installed: their models and ops are checked like a user's."""


def is_harness(file: str) -> bool:
    """Whether a file belongs to gradcheck and not to one of its plugins."""
    path = os.path.abspath(file)
    return path.startswith(HOME) and not path.startswith(PLUGINS)
