"""Find a known text: path, data directory, cache, or the network when asked; else nothing."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError
from .files import KnownFile, difference, is_genuine, sha256

DATA_VARIABLE = "GRADCHECK_DATA"
"""Environment variable: a directory that is searched for text files."""
CACHE_VARIABLE = "GRADCHECK_CACHE"
"""Environment variable: where fetched files are kept, instead of the user's cache directory."""


@dataclass(frozen=True)
class Located:
    """A file, and the one line that says what it is and where it was found."""

    path: Path
    source: str
    genuine: bool


def locate(
    file: KnownFile,
    *,
    path: str | None = None,
    download: bool = False,
) -> Located | None:
    """Find `file`; None when it is nowhere and nothing was asked for explicitly.

    In this order: `path`; the data directory variable; the verified cache; the network, only with
    `download`. Raises DataError when something that was asked for (path, download) is not there,
    or when what lies in the data directory or the cache is not the published file.
    """
    if path is not None:
        return from_path(Path(path).expanduser(), file)
    found = from_directory(file) or from_cache(file)
    if found is None and download:
        from .download import fetch

        fetched = fetch(file)
        found = Located(fetched, f"{file.name}, fetched to {fetched}", True)
    return found


def from_path(path: Path, file: KnownFile | None) -> Located:
    """A file that the user named. Called by the name of `file` only where it has its digest."""
    if not path.is_file():
        raise DataError(
            f"file {path} does not exist; correct `path:`, or leave it out to search the directory "
            f"in {DATA_VARIABLE} and the cache"
        )
    if file is not None and is_genuine(path, file):
        return Located(path, f"{file.name}, from {path}", True)
    other = f", not the published {file.name}" if file is not None else ""
    return Located(path, f"text of {path} (sha256 {sha256(path)[:12]}...{other})", False)


def from_directory(file: KnownFile) -> Located | None:
    """Look in the directory that the variable names; None if it is not set or lacks the file."""
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"{DATA_VARIABLE} is {named!r}, which is not a directory; correct the "
            "variable or unset it"
        )
    for name in file.local_names:
        path = folder / name
        if path.is_file():
            if not is_genuine(path, file):
                raise DataError(
                    f"{path} is not the published {file.name}: {difference(path, file)}; replace "
                    f"it, or give it as `path:` if you mean to use it as it is"
                )
            return Located(path, f"{file.name}, from {path} ({DATA_VARIABLE})", True)
    return None


def from_cache(file: KnownFile) -> Located | None:
    """Look in the cache and verify the file; None if it was never fetched."""
    path = cached_path(file)
    if not path.is_file():
        return None
    if not is_genuine(path, file):
        raise DataError(
            f"cached file is damaged: {path}: {difference(path, file)}; delete it and fetch it "
            f"again: python -m gradcheck.plugins.text fetch {file.name}"
        )
    return Located(path, f"{file.name}, from the cache {path}", True)


def cached_path(file: KnownFile) -> Path:
    """Where a fetched file is kept."""
    return cache_folder() / f"{file.name}.txt"


def cache_folder() -> Path:
    """The variable, else the place where this system keeps caches."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gradcheck"


def how_to_get(file: KnownFile) -> str:
    """Say in one sentence how to get `file`."""
    return (
        f"put {file.local_names[0]} into the directory that {DATA_VARIABLE} names, or fetch it: "
        f"python -m gradcheck.plugins.text fetch {file.name}"
    )
