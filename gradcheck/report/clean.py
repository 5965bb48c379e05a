"""What a subject wrote, made fit for a report: once, before anything is shown or sent.

A lone surrogate cannot be encoded, an escape sequence drives a terminal, a number of six thousand
digits is no JSON for most readers, and nobody reads a message of 50 MB.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from gradcheck.result import Finding, Json, Result, plain

LONGEST = 10_000
"""Characters of one text: its beginning and its end stay."""
LARGEST = 10**100
"""A larger whole number is told by its digits."""
DIGITS_PER_BIT = 0.30103

_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of text
    "\ud800-\udfff]"  # lone surrogates
)


def text(value: str) -> str:
    """Without characters that act on a terminal or cannot be written, and of a bounded length."""
    if len(value) > LONGEST:
        half = LONGEST // 2
        value = f"{value[:half]} ... ({len(value) - LONGEST:,} characters) ... {value[-half:]}"
    if _UNFIT.search(value) is None:
        return value
    return _UNFIT.sub(lambda m: ascii(m[0])[1:-1], value.replace("\r\n", "\n"))


def values(value: Json) -> Json:
    """JSON values with their texts and numbers fit."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {text(str(k)): values(v) for k, v in value.items()}
    if isinstance(value, list):
        return [values(v) for v in value]
    if isinstance(value, int) and not -LARGEST < value < LARGEST:
        sign = "-" if value < 0 else ""
        return f"{sign}(a number of about {int(value.bit_length() * DIGITS_PER_BIT) + 1:,} digits)"
    return value


def finding(found: Finding) -> Finding:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(found):
        given = getattr(found, field.name)
        if isinstance(given, str):
            changes[field.name] = text(given)
    lines = tuple(text(line) for line in found.lines)
    return dataclasses.replace(found, **changes, lines=lines, data=values(plain(found.data)))


def result(found: Result) -> Result:
    """The result as every report shows it. Raises TypeError for what is no JSON value."""
    return dataclasses.replace(
        found,
        findings=tuple(finding(f) for f in found.findings),
        measurements=values(plain(found.measurements)),
        figures=values(plain(found.figures)),
        notes=tuple(text(note) for note in found.notes),
        reason=None if found.reason is None else text(found.reason),
    )
