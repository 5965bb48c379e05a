"""Nothing of the user's is written to: what a script writes goes to a folder of its own.

Python's own ways to write are sent there: `open` (so pathlib, numpy, pickle, json, logging too) and
`os.mkdir`, `remove`, `rename` and their like. A file that was written is read back from there;
every other file is read where it is. Native code that opens files itself is not seen.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEPT = ("/dev/", "/proc/")
"""Folders that hold no files of the user's."""


class Scratch:
    """A folder that stands in for the file system wherever something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)
        self.gone: set[str] = set()
        """What the script removed, as it believes."""
        self.written: list[str] = []
        self._open = builtins.open
        self._exists = os.path.lexists
        self._stat = os.stat

    def install(self) -> None:
        """From now on, in this process."""
        builtins.open = io.open = self._opened
        for name in ("mkdir", "rmdir", "remove", "unlink", "truncate", "chmod", "utime"):
            if hasattr(os, name):
                setattr(os, name, self._one(getattr(os, name), name))
        for name in ("rename", "replace", "symlink", "link"):
            if hasattr(os, name):
                setattr(os, name, self._two(getattr(os, name), name))
        for name in ("stat", "lstat", "access"):
            setattr(os, name, self._read(getattr(os, name), name))
        os.listdir = self._listed(os.listdir, lambda names: sorted(set(names)))
        os.scandir = self._listed(os.scandir, Entries)
        os.open = self._low(os.open)

    # --- where a path is -------------------------------------------------------------------------

    def shadow(self, path: Any) -> str:
        """The place in the scratch folder that stands for a path."""
        return os.path.join(self.folder, "files", os.path.abspath(os.fsdecode(path)).lstrip(os.sep))

    def is_ours(self, path: Any) -> bool:
        """A path that needs no stand-in: in the scratch folder, or a device; or no path at all."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return True
        full = os.path.abspath(os.fsdecode(path))
        return full.startswith((self.folder + os.sep, *KEPT)) or full == self.folder

    def now(self, path: Any) -> Any:
        """Where a path is read: from the stand-in where there is one."""
        if self.is_ours(path):
            return path
        there = self.shadow(path)
        full = os.path.abspath(os.fsdecode(path))
        return there if full in self.gone or os.path.isfile(there) or self._new(full) else path

    def _new(self, full: str) -> bool:
        """Whether only the stand-in is there, as a folder that the script made."""
        return self._exists(self.shadow(full)) and not self._there(full)

    def _there(self, full: str) -> bool:
        """Whether something is really there, whatever stands in for it."""
        try:
            self._stat(full)
        except OSError:
            return False
        return True

    def _for_writing(self, path: Any, *, copy: bool) -> Any:
        """The stand-in, with its folder made where the script's own folder is there."""
        if self.is_ours(path):
            return path
        there = self.shadow(path)
        full = os.path.abspath(os.fsdecode(path))
        parent = os.path.dirname(full)
        if os.path.isdir(parent) or os.path.isdir(self.shadow(parent)):
            _make(os.path.dirname(there))
        if copy and not self._exists(there) and os.path.isfile(full) and full not in self.gone:
            shutil.copyfile(full, there)
        self.gone.discard(full)
        if full not in self.written:
            self.written.append(full)
        return there

    # --- what stands in for Python's own ---------------------------------------------------------

    def _opened(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if any(letter in mode for letter in "wax+"):
            file = self._for_writing(file, copy="w" not in mode)
        else:
            file = self.now(file)
        return self._open(file, mode, *args, **kwargs)

    def _low(self, original: Any) -> Any:
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

        def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if kwargs.get("dir_fd") is None:
                if flags & writing:
                    path = self._for_writing(path, copy=not flags & os.O_TRUNC)
                else:
                    path = self.now(path)
            return int(original(path, flags, *args, **kwargs))

        return opened

    def _read(self, original: Callable[..., Any], name: str) -> Any:
        def read(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is not None:
                return original(path, *args, **kwargs)
            return original(self.now(path), *args, **kwargs)

        read.__name__ = name
        return read

    def _listed(self, original: Callable[..., Any], put: Callable[[list[Any]], Any]) -> Any:
        """A folder's own entries and those that stand in, each name once."""

        def listed(path: Any = ".") -> Any:
            full = os.path.abspath(os.fsdecode(path)) if not isinstance(path, int) else None
            if full is None or self.is_ours(path) or not self._exists(self.shadow(full)):
                return original(path)
            if not self._there(full):
                return original(self.shadow(full))
            new = list(original(self.shadow(full)))
            names = {_name(entry) for entry in new}
            old = [
                entry
                for entry in original(path)
                if _name(entry) not in names and os.path.join(full, _name(entry)) not in self.gone
            ]
            return put(old + new)

        return listed

    def _one(self, original: Callable[..., Any], name: str) -> Any:
        def changed(path: Any, *args: Any, **kwargs: Any) -> Any:
            if self.is_ours(path) or kwargs.get("dir_fd") is not None:
                return original(path, *args, **kwargs)
            full = os.path.abspath(os.fsdecode(path))
            if name in ("remove", "unlink", "rmdir"):
                os.stat(path)  # the error of a file that is not there
                self.gone.add(full)
                there = self.shadow(path)
                return original(there, *args, **kwargs) if self._exists(there) else None
            if name == "mkdir" and os.path.isdir(full) and full not in self.gone:
                raise FileExistsError(17, os.strerror(17), full)
            there = self._for_writing(path, copy=name != "mkdir")
            if name != "mkdir" and not self._exists(there):
                return None  # the mode or the times of a folder: of no account here
            return original(there, *args, **kwargs)

        changed.__name__ = name
        return changed

    def _two(self, original: Callable[..., Any], name: str) -> Any:
        def moved(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            if self.is_ours(source) and self.is_ours(target):
                return original(source, target, *args, **kwargs)
            new = self._for_writing(target, copy=False)
            if name in ("symlink", "link"):
                return original(self.now(source), new, *args, **kwargs)
            old = self._for_writing(source, copy=True)
            self.gone.add(os.path.abspath(os.fsdecode(source)))
            return original(old, new, *args, **kwargs)

        moved.__name__ = name
        return moved


class Entries:
    """What os.scandir returns: an iterator that is closed."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Any:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _name(entry: Any) -> str:
    return os.fsdecode(entry.name if isinstance(entry, os.DirEntry) else entry)


def _make(folder: str) -> None:
    """os.makedirs, by the calls that are not replaced for the scratch folder itself."""
    if not os.path.isdir(folder):
        _make(os.path.dirname(folder))
        with contextlib.suppress(FileExistsError):  # a trial beside this one was faster
            os.mkdir(folder)
