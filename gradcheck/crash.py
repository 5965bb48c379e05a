"""An exception out of user code (model, op, data, step) as a finding, with the user's line."""

from __future__ import annotations

import os
import re
import traceback

import numpy as np

from gradcheck.case import Case
from gradcheck.frameworks.shorten import short_path
from gradcheck.result import Finding

_HERE = os.path.dirname(os.path.abspath(__file__))
_NOBODYS = (_HERE + os.sep, os.path.dirname(os.path.abspath(np.__file__)) + os.sep)
"""Frames that say nothing about whose fault it is: gradcheck's own, and numpy's below it."""

_BUNDLED = os.path.join(os.path.dirname(_HERE), "tinytorch") + os.sep
"""The bundled framework: what it refuses was asked of it by a line further up."""


_CALLED_HERE = re.compile(r" \([^()]*gradcheck[^()]*calling\.py:\d+\)")
"""The place of an op's call, where gradcheck itself made it."""


def crash(error: Exception, case: Case) -> Finding | None:
    """A finding for an exception from outside gradcheck; None when it is gradcheck's own."""
    outside = _frames(error)
    deliberate = type(error).__module__.split(".")[0] in ("gradcheck", "tinytorch")
    if not outside and not deliberate:
        return None
    message = " ".join(str(error).split()) or type(error).__name__
    message = _CALLED_HERE.sub("", message)
    user = _users(error)
    if user is None and outside and not deliberate:
        user = outside[-1]
    at = f"{short_path(user.filename)}:{user.lineno}" if user else None
    return Finding(
        code="crashed",
        message=f"{case.subject_name} raised {type(error).__name__}: {message}",
        where=at,
        lines=(f"at {at}   {user.line}",) if user else (),
        op=case.op,
        advice="return one cotangent for each input, of the shape of that input"
        if type(error).__name__ == "PullbackError"
        else "make the case run on its own first; nothing can be checked before it does",
    )


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not os.path.abspath(f.filename).startswith(_NOBODYS)]


def _users(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost line that a user wrote; of the cause, where the error was raised `from` one."""
    found = _users(error.__cause__) if error.__cause__ is not None else None
    own = (
        f
        for f in reversed(_frames(error))
        if "site-packages" not in f.filename
        and not os.path.abspath(f.filename).startswith(_BUNDLED)
    )
    return found or next(own, None)
