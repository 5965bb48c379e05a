"""Tells case files from other YAML files by their first bytes, without parsing YAML."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

LOOK = 1 << 16
TOP_KEY = re.compile(rb"""^["']?([A-Za-z_$][\w.$-]*)["']?[ ]*:""", re.MULTILINE)
SIGNS = ("schema", "cases")
CASE_KEY = re.compile(
    rb"""^[ ]+["']?(op|model|inputs|checks)["']?[ ]*:|\{[ ]*(op|model)[ ]*:""", re.MULTILINE
)
"""In a file that has its cases at the top level, without `schema` and `cases`."""


def is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def looks_like_cases(path: Path, *, in_doubt: bool) -> bool:
    """Whether the file has a top-level key `schema` or `cases`, perhaps misspelt.

    in_doubt: the answer for a file that has no readable top-level key at all (an empty file, a
    list, another encoding).
    """
    try:
        with path.open("rb") as file:
            start = file.read(LOOK)
    except OSError:
        return in_doubt
    keys = [key.decode("ascii", "replace").lower() for key in TOP_KEY.findall(start)]
    if not keys:
        return in_doubt
    if any(key in SIGNS for key in keys):
        return True
    return in_doubt and (
        bool(CASE_KEY.search(start))
        or any(difflib.get_close_matches(key, SIGNS, cutoff=0.7) for key in keys)
    )
