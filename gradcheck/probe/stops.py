"""Values that leave the graph, and those of them that are meant to stay where they are.

A stop-gradient (`advantage.detach()`, a target under `no_grad`) makes the analytic gradient that of
a function in which the stopped values are constants. A difference of the plain forward lets them
move, and disagrees. So what a user declares as a stop is held: the first forward at a point notes
its values, and every later forward at moved leaves gets those values in its place.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.phrases import closest
from gradcheck.source.line import Line, is_harness
from gradcheck.source.text import lines_around, names_on, text_of


@dataclass(frozen=True)
class Exit:
    """A line where values leave the graph. kind: see `Cut.kind`. names: of the tensors on it."""

    kind: str
    at: Line
    names: frozenset[str]

    def __str__(self) -> str:
        return f"{self.at}   {text_of(self.at)}"


class Stops:
    """What is held in the forwards of one subject. Call it with each value that leaves the graph.

    declared: 'file.py:12', or the name of a function or tensor; None holds nothing and only notes
    where values leave. The next forward after `anchor` gives the values that later ones get.
    """

    def __init__(self, declared: Iterable[str] | None = None) -> None:
        self.declared = None if declared is None else tuple(declared)
        self.exits: dict[tuple[str, int], Exit] = {}
        self.met: dict[str, dict[tuple[str, int], Exit]] = {}
        self._base: dict[tuple[str, int, int], Array] = {}
        self._count: Counter[tuple[str, int]] = Counter()
        self._fresh, self._noting = True, False

    def anchor(self) -> None:
        """The leaves are at another point: the next forward gives the values that are held."""
        self._base.clear()
        self._fresh = True

    def begin(self) -> None:
        """A forward begins."""
        self._noting, self._fresh = self._fresh, False
        self._count.clear()

    def __call__(self, kind: str, values: Array, frame: FrameType | None) -> Array:
        """What takes the place of `values`: themselves, unless they are held. frame: the innermost
        outside the framework."""
        lines = _lines(frame)
        if not lines:
            return values
        first = lines[0]
        place = (first.file, first.line)
        known = self.exits.get(place)
        if known is None:
            known = self.exits[place] = Exit(kind, first, names_on(first))
        wanted = [w for w in self.declared or () if _means(w, lines, known.names)]
        if not wanted:
            return values
        for one in wanted:
            self.met.setdefault(one, {})[place] = known
        key = (*place, self._count[place])
        self._count[place] += 1
        if self._noting:
            self._base[key] = np.array(values)
            return values
        held = self._base.get(key)
        if held is None or held.shape != values.shape:
            return np.full_like(values, np.nan)  # another way through the program: unknown here
        return values if np.array_equal(held, values, equal_nan=True) else np.array(held)

    def missed(self) -> list[str]:
        """What was declared and never met."""
        return [w for w in self.declared or () if w not in self.met]

    def held(self) -> list[Exit]:
        """The lines whose values were held."""
        found = {place: exit for exits in self.met.values() for place, exit in exits.items()}
        return list(found.values())

    def suggestion(self, wanted: str) -> str | None:
        """What else may have been meant: a line of the same file near by, or a name alike."""
        line = Line.parse(wanted)
        exits = list(self.exits.values())
        if line is not None:
            same = [e for e in exits if same_file(e.at.file, line.file)]
            near = min(same, key=lambda e: abs(e.at.line - line.line), default=None)
            return None if near is None else str(near.at)
        known = [n for e in exits for n in (*e.names, e.at.function) if n]
        return closest(wanted, known)


def same_file(file: str, wanted: str) -> bool:
    """Whether a path is the file that a user names, by its name or the end of its path."""
    file = file.replace("\\", "/")
    return file == wanted or file.endswith(f"/{wanted}")


def _means(wanted: str, lines: Sequence[Line], names: frozenset[str]) -> bool:
    """Whether a declaration means an exit. lines: where every running function is, innermost first.

    A place is the line of the exit, of a call that led to it, or of a `with` or `def` around it.
    """
    line = _place(wanted)
    if line is None:
        return wanted in names or any(wanted == at.function for at in lines)
    return any(same_file(at.file, line.file) and line.line in lines_around(at) for at in lines)


@functools.lru_cache(maxsize=256)
def _place(wanted: str) -> Line | None:
    return Line.parse(wanted)


def _lines(frame: FrameType | None) -> tuple[Line, ...]:
    """The user's lines that are running, innermost first, up to gradcheck."""
    lines: list[Line] = []
    while frame is not None and not _ours(frame.f_code):
        lines.append(Line.of_frame(frame))
        frame = frame.f_back
    return tuple(lines)


@functools.lru_cache(maxsize=4096)
def _ours(code: CodeType) -> bool:
    return is_harness(code.co_filename)
