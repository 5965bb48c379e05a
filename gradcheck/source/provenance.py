"""Where a thing stands in somebody's source, as 'file:line' that a reader can click on."""

from __future__ import annotations

import inspect
import linecache
import os
import re
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

UNKNOWN = "<unknown>"


def shown(path: str | os.PathLike[str]) -> str:
    """`path` relative to the working directory where it lies below it, else as it is."""
    try:
        return Path(path).resolve().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(path)


def where_of(value: Any) -> str:
    """'file:line' of a function, method, class, or of the class of any other object.

    Reads no syntax tree (`inspect.getsourcelines` does, and takes a second for a hundred classes).
    """
    if hasattr(value, "__wrapped__"):
        value = inspect.unwrap(value)
    value = getattr(value, "func", value)  # functools.partial
    code = getattr(value, "__code__", None)
    if code is not None:
        return f"{shown(code.co_filename)}:{code.co_firstlineno}"
    cls = value if isinstance(value, type) else type(value)
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None:
        return UNKNOWN
    line = line_matching(file, rf"\s*class\s+{re.escape(cls.__name__)}\b") or 1
    return f"{shown(file)}:{line}"


def line_matching(file: str | os.PathLike[str], pattern: str) -> int | None:
    """The number of the first line of `file` that begins with `pattern`, or None."""
    begins = re.compile(pattern)
    for number, line in enumerate(linecache.getlines(str(file)), start=1):
        if begins.match(line):
            return number
    return None


def where_of_frame(frame: FrameType) -> str:
    """'file:line' of the line that a frame is at."""
    return f"{shown(frame.f_code.co_filename)}:{frame.f_lineno}"


def where_raised(error: BaseException, file: str | os.PathLike[str] | None) -> str:
    """'file:line' of the innermost line of `file` (or of its folder) that led to `error`.

    A syntax error stands where the parser says. Without any such line it is the file itself.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno or 1}"
    if file is None:
        return UNKNOWN
    real = os.path.realpath(file)
    inside = os.path.dirname(real) + os.sep if os.path.basename(real) == "__init__.py" else real
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if os.path.realpath(frame.filename).startswith(inside):
            return f"{shown(frame.filename)}:{frame.lineno}"
    return f"{shown(file)}:1"
