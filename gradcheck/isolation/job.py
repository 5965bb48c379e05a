"""What a child process is told: how to make the registry, and then which check to run.

Both cross as pickles, from this process to its own child. A case is plain data; what it names is
looked up anew in the child, so nothing of the subject itself crosses. What comes back is JSON.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

from gradcheck.yamlcases.case import Case


class CannotIsolate(Exception):
    """The check cannot be rebuilt in another process; the message says why."""


@dataclass(frozen=True)
class Setup:
    """plugin_folders, conftests: where the names of the case come from; a conftest is the name of
    its module and its file. threads: the share of the cores of an xdist worker."""

    path: tuple[str, ...]
    plugin_folders: tuple[Path, ...]
    conftests: tuple[tuple[str, str], ...] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Job:
    """One check. default: the limit in seconds of a case without `timeout`, None for none. others:
    checks of the case that are reported beside it."""

    case: Case
    check: str
    seed: int
    default: float | None = None
    others: tuple[str, ...] = ()


def packed(value: Setup | Job) -> bytes:
    """As one line of text. Raises CannotIsolate."""
    try:
        return pickle.dumps(value).hex().encode() + b"\n"
    except Exception as error:  # whatever a hook put into the case
        raise CannotIsolate(
            f"the case cannot be sent to another process ({type(error).__name__}: {error}); a hook "
            "put something else than plain data into it"
        ) from None


def unpacked(line: bytes) -> Setup | Job:
    found: Setup | Job = pickle.loads(bytes.fromhex(line.decode()))
    return found
