"""The JSON report. The file is a whole, valid document after every item.

Each entry is written over the closing brackets in one write that ends with new ones, so a run that
is killed leaves a document with what it finished and `"complete": false`. At the end the file is
replaced by one in the order of collection. `gradcheck/report.schema.json` describes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gradcheck.report.entry import OUTCOMES, SCHEMA_VERSION, Entry

CLOSE = b"\n]}\n"
START = b'{"schema_version": '
"""How every report begins."""
BEGINNING = 2000
"""Bytes of a file that are looked at before it is overwritten."""

NEEDED = {f.name for f in dataclasses.fields(Entry)} - {"order"}
"""The keys of every item."""


KINDS: dict[str, tuple[type, ...]] = {
    "nodeid": (str,),
    "file": (str,),
    "outcome": (str,),
    "seconds": (int, float),
    "measurements": (dict,),
    "figures": (dict,),
    "yaml": (str,),
}
"""The types that some of them must have, since a report is read back from a file of anybody's."""


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
    """Strict JSON: NaN and infinity must have been turned into their names before. A lone
    surrogate, as in the name of a file that is not UTF-8, becomes an escape of JSON."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


class Unwritable(Exception):
    """A report cannot be written there; the message says why."""


def look_at(path: Path, mark: bytes) -> None:
    """Raise Unwritable unless a report can be written to `path`. Leaves what is there as it is.

    mark: what the beginning of a report of this kind has. A file that lacks it is somebody's, and
    is not overwritten.
    """
    try:
        there = path.exists() or path.is_symlink()
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise Unwritable(f"{path} cannot be written: it is not a regular file")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
        with path.open("rb") as file:
            begins = file.read(BEGINNING)
        if begins and mark not in begins:
            raise Unwritable(
                f"{path} is not a report of gradcheck and is not overwritten; name another file"
            )
        if not there:
            path.unlink()
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror}") from None
    except ValueError as error:  # a name with a null character
        raise Unwritable(f"{path} cannot be written: {error}") from None


def put(path: Path, content: bytes) -> None:
    """Put a whole file in the place of `path`, or leave that as it is and raise OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".gradcheck-{os.getpid()}")  # short: names have a limit
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):  # it may not even have been made
            beside.unlink(missing_ok=True)
        raise


class JsonReport:
    """Writes a report item by item. Nothing is written before the first item: an earlier report
    stays where a run ends without one.

    problem: why the file lacks items that ran; None while it has them all. Raises Unwritable where
    the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        look_at(path, START)
        self.path = path
        self.problem: str | None = None
        self._file: io.FileIO | None = None
        self._end = 0
        self._first = True

    @property
    def begun(self) -> bool:
        """Whether an item was written."""
        return self._file is not None

    def add(self, entry: Entry) -> None:
        """Write an item. What the disk refuses is in `problem`; the file stays a whole document."""
        if self.problem is not None:
            return
        try:
            if self._file is None:
                self._open()
            line = (b"\n" if self._first else b",\n") + dumps(item(entry))
            self._write(line + CLOSE)
        except OSError as error:
            self.problem = f"{self.path} lacks what ran after this: {error.strerror}"
            self._close_document()
            return
        self._end += len(line)
        self._first = False

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = io.FileIO(self.path, "w")
        start = dumps(head())[:-1] + b', "items": ['
        self._write(start + CLOSE)
        self._end = len(start)

    def _write(self, data: bytes) -> None:
        """All of `data` at the end of the items. A disk that fills up takes a part first."""
        assert self._file is not None
        self._file.seek(self._end)
        while data:
            data = data[self._file.write(data) :]

    def _close_document(self) -> None:
        """After a write that failed: the brackets where they were, and nothing after them. They
        had their place on the disk before."""
        if self._file is None or self._end == 0:
            return
        with contextlib.suppress(OSError):
            self._write(CLOSE)
            self._file.truncate(self._end + len(CLOSE))

    def finish(self, entries: Sequence[Entry], *, complete: bool) -> None:
        """Put the whole report, in the order of `entries`, in place of what was written.

        complete: every item that was collected has an entry, and the run ended by itself.
        """
        if self._file is not None:
            self._file.close()
        elif not entries:
            return
        lines = b",\n".join(dumps(item(e)) for e in entries)
        start = dumps({**head(), "complete": complete})[:-1] + b', "items": [\n'
        try:
            put(self.path, start + lines + CLOSE)
        except OSError as error:
            self.problem = f"{self.path} could not be finished: {error.strerror}"
            return
        self.problem = None


def read(path: Path, *, whole: bool = False) -> list[Entry]:
    """The entries of a report that was written here. Raises BadReport with a sentence.

    whole: refuse the report of a run that did not end, since what it lacks would seem to be new.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadReport(f"{path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise BadReport(
            f"{path} is not a report of --gradcheck-json: it nests too deeply"
        ) from None
    except ValueError as error:
        raise BadReport(f"{path} is not JSON: {error}") from None
    if not isinstance(loaded, dict) or not isinstance(loaded.get("items"), list):
        raise BadReport(f"{path} is not a report of --gradcheck-json: it has no list `items`")
    version = loaded.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise BadReport(
            f"{path} has schema_version {version!r}, but this gradcheck reads "
            f"{SCHEMA_VERSION}; write it again with --gradcheck-json"
        )
    if not all(isinstance(i, dict) and i.keys() >= NEEDED for i in loaded["items"]):
        raise BadReport(
            f"{path} is not a complete report of --gradcheck-json: an item lacks one of "
            f"{', '.join(sorted(NEEDED))}; write it again"
        )
    try:
        found = [Entry.from_json({k: i[k] for k in NEEDED}) for i in loaded["items"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadReport(
            f"{path} is not a report of --gradcheck-json: {error}; write it again"
        ) from None
    for entry in found:
        wrong = next(
            (k for k, kinds in KINDS.items() if type(getattr(entry, k)) not in kinds), None
        )
        if wrong is not None or entry.outcome not in OUTCOMES:
            raise BadReport(
                f"{path} is not a report of --gradcheck-json: the {wrong or 'outcome'} of an item "
                f"is {getattr(entry, wrong or 'outcome')!r:.60}; write it again"
            )
    if whole and loaded.get("complete") is not True:
        raise BadReport(
            f"{path} is the report of a run that did not end, or that left items out; write it "
            "again, or finish it with --gradcheck-resume"
        )
    return found
