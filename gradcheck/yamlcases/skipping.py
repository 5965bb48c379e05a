"""Whether a condition of `skip_if` holds here and now: platform, Python, what is installed."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Protocol


class Condition(Protocol):
    """What a `skip_if` says; see the model `SkipIf`."""

    @property
    def platform(self) -> tuple[str, ...]: ...
    @property
    def python(self) -> str | None: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def reason(self) -> str: ...


def holds(condition: Condition) -> str | None:
    """The reason of a condition that holds here and now, None for one that does not."""
    met: list[str] = []
    if condition.platform:
        if not sys.platform.startswith(condition.platform):
            return None
        met.append(f"the platform is {sys.platform}")
    if condition.python is not None:
        if not python_matches(condition.python, sys.version_info[:3]):
            return None
        met.append(f"Python is {'.'.join(map(str, sys.version_info[:3]))}")
    if condition.missing:
        absent = [m for m in condition.missing if importlib.util.find_spec(m) is None]
        if not absent:
            return None
        met.append(f"{' and '.join(absent)} is not installed")
    if not met:
        return None
    return condition.reason or " and ".join(met)


def python_matches(spec: str, version: tuple[int, ...]) -> bool:
    """Whether `version` fulfils every part of a spec such as '>=3.10, <3.12'.

    A part is compared to as many numbers as it has: 3.11.7 is `==3.11` and not `>3.11`.
    """
    for part in spec.split(","):
        sign, numbers = re.fullmatch(r"([<>=!]+)(.+)", part.strip()).groups()  # type: ignore[union-attr]
        wanted = tuple(map(int, numbers.split(".")))
        have = version[: len(wanted)]
        verdict = {
            "<": have < wanted,
            "<=": have <= wanted,
            ">": have > wanted,
            ">=": have >= wanted,
            "==": have == wanted,
            "!=": have != wanted,
        }[sign]
        if not verdict:
            return False
    return True
