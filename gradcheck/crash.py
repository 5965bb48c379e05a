"""An exception from user code (model, op, data, step) becomes a finding with the user's line."""

from __future__ import annotations

import os
import re
import traceback
from types import FrameType

import numpy as np

from gradcheck.guard.ending import EndedProcess
from gradcheck.names import bundled
from gradcheck.phrases import one_line
from gradcheck.result import Finding
from gradcheck.source.line import Line, is_harness

_HERE = os.path.dirname(os.path.abspath(__file__))
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep

MAKE_IT_RUN = "make the case run on its own first; nothing can be checked until it does"
"""The advice of a crash at a line of the user's."""

_OUR_LINE = re.compile(rf" at {re.escape(_HERE + os.sep)}(?!plugins/)\S+:\d+")
"""In the message of an op that gradcheck itself called."""


_CALLED_HERE = re.compile(r" \([^()]*gradcheck[^()]*calling\.py:\d+\)")
"""The place of an op's call, where gradcheck itself made it."""


def crash(
    error: BaseException, *, name: str, is_op: bool, declared: str | None = None
) -> Finding | None:
    """A finding for an exception from outside gradcheck; None when it is gradcheck's own.

    name, is_op: the op or model that was being probed. declared: 'file:line' of its case.
    """
    outside = _frames(error)
    package = type(error).__module__.partition(".")[0]
    deliberate = package == "gradcheck" or (
        package == bundled.NAME and bundled.folder() is not None
    )
    if not outside and not deliberate:
        return None
    kind = type(error).__name__
    message = _OUR_LINE.sub("", _CALLED_HERE.sub("", one_line(error))) or kind
    if not type(error).__module__.startswith("gradcheck."):
        message = f"{name} raised {kind}" + (f": {message}" if message != kind else "")
    if not isinstance(error, Exception):
        message = _ending(error, name, message)
    user = _users(error)
    backward = kind == "PullbackError"
    if user is None and not backward and declared is not None:
        # no line of the user's is to blame but those of the case
        return Finding(
            code="crashed",
            message=message,
            where=declared,
            advice="correct the case; nothing can be checked until it runs",
        )
    if user is None and outside and not deliberate:
        user = outside[-1]
    at = str(Line(user.filename, user.lineno or 0)) if user else None
    return Finding(
        code="crashed",
        message=message,
        where=at,
        lines=(f"at {at}   {user.line}",) if user else (),
        op=name if is_op else None,
        advice=_advice(error, backward),
    )


def _ending(error: BaseException, name: str, message: str) -> str:
    """What would have ended or skipped the run, in words."""
    if isinstance(error, SystemExit):
        return f"{name} called sys.exit({'' if error.code is None else repr(error.code)})"
    if isinstance(error, EndedProcess):
        return f"{name} called {error}"
    return message


def _advice(error: BaseException, backward: bool) -> str:
    if backward:
        return "return one cotangent for each input, of the shape of that input"
    if not isinstance(error, Exception):
        return (
            "remove this line: what is checked can neither end the run nor skip its own check "
            "(`skip` and `skip_if` are keys of the case)"
        )
    return MAKE_IT_RUN


def is_users(file: str) -> bool:
    """Whether a file is the user's own: not gradcheck's, Python's, numpy's or an installed one."""
    return not (_nobodys(file) or "site-packages" in file or _bundled(file))


def where_now(frame: FrameType) -> str | None:
    """'file:line' of the user's code that is running; None while only gradcheck itself works."""
    current: FrameType | None = frame
    while current is not None:
        file = current.f_code.co_filename
        if os.path.abspath(file) == os.path.join(_HERE, "engine.py"):
            return None
        if is_users(file):
            return str(Line.of_frame(current))
        current = current.f_back
    return None


def _bundled(file: str) -> bool:
    """A file of the bundled framework: what it refuses was asked of it by a line further up."""
    folder = bundled.folder()
    return folder is not None and os.path.abspath(file).startswith(f"{folder}{os.sep}")


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not _nobodys(f.filename)]


def _nobodys(file: str) -> bool:
    """Frames that say nothing about whose fault it is: gradcheck's own, numpy's and Python's.

    Installed packages lie in a folder of Python's own, and are somebody's.
    """
    path = os.path.abspath(file)
    return (
        is_harness(path)
        or path.startswith(_NUMPY)
        or (path.startswith(_PYTHON) and "site-packages" not in path)
    )


def _users(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost line that a user wrote; of the cause, where the error was raised `from` one."""
    found = _users(error.__cause__) if error.__cause__ is not None else None
    own = (
        f
        for f in reversed(_frames(error))
        if "site-packages" not in f.filename and not _bundled(f.filename)
    )
    return found or next(own, None)
