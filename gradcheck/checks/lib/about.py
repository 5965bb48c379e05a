"""Findings about several parameters at once, built in one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcheck.result import Finding


def about(
    names: Sequence[str],
    code: str,
    message: str,
    advice: str | None = None,
    *,
    made_at: str | None = None,
    **more: Any,
) -> Finding:
    """A finding about parameters: it points at the first of `names`, and its data lists all.

    made_at: the line that made the first one; the finding then points there and says so.
    """
    if made_at:
        more = {"where": made_at, "lines": (f"{names[0]} was made at {made_at}",), **more}
    data = {"parameters": list(names), **more.pop("data", {})}
    return Finding(code=code, message=message, parameter=names[0], advice=advice, data=data, **more)
