"""The JSON report. The file is a whole, valid document after every item.

Each entry is written over the closing brackets in one write that ends with new ones, so a run that
is killed leaves a document with what it finished and `"complete": false`. At the end the file is
replaced by one in the order of collection. `gradcheck/report.schema.json` describes it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gradcheck.report.entry import SCHEMA_VERSION, Entry

CLOSE = b"\n]}\n"

NEEDED = {f.name for f in dataclasses.fields(Entry)} - {"order"}
"""The keys of every item."""


class BadReport(ValueError):
    """The file is not a gradcheck report; the message says why."""


def head() -> dict[str, Any]:
    """What a report says about itself, before its items."""
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": False,
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in ("pytest-gradcheck", "pytest", "numpy")},
    }


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def document(entries: Sequence[Entry], *, complete: bool = True) -> dict[str, Any]:
    """A report as one JSON value. `order` only served the sorting and is left out."""
    return {**head(), "complete": complete, "items": [item(e) for e in entries]}


def item(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.to_json().items() if key != "order"}


def dumps(value: Any) -> bytes:
    """Strict JSON: NaN and infinity must have been turned into their names before."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


class JsonReport:
    """Writes a report item by item. Raises OSError when the file cannot be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._file.write(dumps(head())[:-1] + b', "items": [')
        self._end = self._file.tell()
        self._file.write(CLOSE)
        self._first = True

    def add(self, entry: Entry) -> None:
        self._file.seek(self._end)
        line = (b"\n" if self._first else b",\n") + dumps(item(entry))
        self._file.write(line + CLOSE)
        self._end += len(line)
        self._first = False

    def finish(self, entries: Sequence[Entry]) -> None:
        """Put the complete report, in the order of `entries`, in place of what was written."""
        self._file.close()
        beside = self.path.with_name(self.path.name + ".new")
        lines = b",\n".join(dumps(item(e)) for e in entries)
        start = dumps({**head(), "complete": True})[:-1] + b', "items": [\n'
        beside.write_bytes(start + lines + CLOSE)
        os.replace(beside, self.path)


def read(path: Path) -> list[Entry]:
    """The entries of a report that was written here. Raises BadReport with a sentence."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadReport(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadReport(f"{path} is not JSON: {error}") from None
    if not isinstance(loaded, dict) or not isinstance(loaded.get("items"), list):
        raise BadReport(f"{path} is not a report of --gradcheck-json: it has no list `items`")
    if loaded.get("schema_version") != SCHEMA_VERSION:
        raise BadReport(
            f"{path} has schema_version {loaded.get('schema_version')!r}, but this gradcheck reads "
            f"{SCHEMA_VERSION}; write it again with --gradcheck-json"
        )
    if not all(isinstance(i, dict) and i.keys() >= NEEDED for i in loaded["items"]):
        raise BadReport(
            f"{path} is not a complete report of --gradcheck-json: an item lacks one of "
            f"{', '.join(sorted(NEEDED))}; write it again"
        )
    try:
        return [Entry.from_json({k: i[k] for k in NEEDED}) for i in loaded["items"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadReport(
            f"{path} is not a report of --gradcheck-json: {error}; write it again"
        ) from None
