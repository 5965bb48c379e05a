"""Findings about several tensors at once."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.checks.lib.words import some
from gradcheck.result import Finding


def about(
    names: Sequence[str],
    code: str,
    message: str,
    advice: str | None,
    *,
    then: str = "",
    lines: Sequence[str] = (),
) -> Finding:
    """'message: a, b, c. then', with the first name as the parameter and all of them as data."""
    return Finding(
        code=code,
        message=f"{message}: {some(names)}" + (f". {then}" if then else ""),
        parameter=names[0],
        lines=tuple(lines),
        advice=advice,
        data={"parameters": list(names)},
    )
