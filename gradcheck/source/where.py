"""Where something is defined, or failed, as 'file:line' that a reader can click on."""

from __future__ import annotations

import inspect
import linecache
import os
import re
import sys
import traceback
from types import FrameType
from typing import Any

from gradcheck.source.line import Line

UNKNOWN = "<unknown>"


def where_of(value: Any) -> str:
    """'file:line' of a function, method, class, or of the class of any other object.

    Reads no syntax tree (`inspect.getsourcelines` does, and takes a second for a hundred classes).
    """
    if hasattr(value, "__wrapped__"):
        value = inspect.unwrap(value)
    value = getattr(value, "func", value)  # functools.partial
    code = getattr(value, "__code__", None)
    if code is not None:
        return str(Line(code.co_filename, code.co_firstlineno))
    cls = value if isinstance(value, type) else type(value)
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None:
        return UNKNOWN
    line = line_matching(file, rf"\s*class\s+{re.escape(cls.__name__)}\b") or 1
    return str(Line(file, line))


def defined_at(function: Any) -> str | None:
    """'file:line' of the `def` of a Python function, below its decorators; None without source."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    line = code.co_firstlineno  # that of the first decorator, where there is one
    while linecache.getline(code.co_filename, line).lstrip().startswith("@"):
        line += 1
    return str(Line(code.co_filename, line))


def line_matching(file: str | os.PathLike[str], pattern: str) -> int | None:
    """The number of the first line of `file` that begins with `pattern`, or None."""
    begins = re.compile(pattern)
    for number, line in enumerate(linecache.getlines(str(file)), start=1):
        if begins.match(line):
            return number
    return None


def where_of_frame(frame: FrameType) -> str:
    """'file:line' of the line that a frame is at."""
    return str(Line.of_frame(frame))


def where_raised(error: BaseException, file: str | os.PathLike[str] | None) -> str:
    """'file:line' of the innermost line of `file` (or of its folder) that led to `error`.

    For a syntax error it is the line that the parser names. Without any, it is the file's first.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return str(Line(error.filename, error.lineno or 1))
    if file is None:
        return UNKNOWN
    real = os.path.realpath(file)
    inside = os.path.dirname(real) + os.sep if os.path.basename(real) == "__init__.py" else real
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if os.path.realpath(frame.filename).startswith(inside):
            return str(Line(frame.filename, frame.lineno or 1))
    return str(Line(os.fspath(file), 1))
