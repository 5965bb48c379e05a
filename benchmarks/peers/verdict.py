"""What a contestant says of one subject, and how its words are judged. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gradcheck.plugins._faults import wrong_ops

CAUGHT = "caught"
WARNED = "warned"
MISSED = "missed"
FALSE_ALARM = "false alarm"
QUIET = "quiet"
NOT_APPLICABLE = "not applicable"
NOT_RUN = "not run"

WRONG_OPS = Path(wrong_ops.__file__)
MARKED = (WRONG_OPS, Path(__file__).parent / "models.py")
"""Files in which `# fault: id` marks the faulty line."""

_warmed: list[bool] = []


@dataclasses.dataclass(frozen=True)
class Complaint:
    """One thing a tool said. key: which of its checks; hard: a failure, not a warning."""

    key: str
    text: str
    hard: bool = True


@dataclasses.dataclass(frozen=True)
class Subject:
    """One fault, or one correct thing.

    id: also the marker `# fault: id` on the faulty line. correct: nothing may be said of it.
    words: names of the op, parameter or input to be found in a good message. needs: what a tool
    must be able to look at (strides, mutation, step). lines: further places that a message may
    name, such as 'wrong_ops.py:12': those of the faulty op.
    """

    id: str
    title: str
    kind: str
    correct: bool = False
    words: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of the table, as measured. named: what the message
    names: 'name' (the op, parameter or input), 'line'."""

    id: str
    verdict: str
    named: tuple[str, ...] = ()
    seconds: float = 0.0
    said: str = ""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def marked_lines(id: str) -> list[str]:
    """'wrong_ops.py:12', each line with the comment `# fault: id`."""
    return [
        f"{path.name}:{number}"
        for path in MARKED
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.rstrip().endswith(f"# fault: {id}")
    ]


def named_in(text: str, subject: Subject) -> tuple[str, ...]:
    """Whether the text names the op, parameter or input, and the faulty line."""
    named = []
    # a word may end in "[": an input and its entry, x[1, 2]
    ends = [(re.escape(word), "" if word.endswith("[") else r"(?!\w)") for word in subject.words]
    if any(re.search(rf"(?<![\w.]){word}{end}", text) for word, end in ends):
        named.append("name")
    places = {*marked_lines(subject.id), *subject.lines}
    if any(re.search(rf"{re.escape(place)}(?!\d)", text) for place in places):
        named.append("line")
    return tuple(named)


def measure(
    subject: Subject,
    run: Callable[[], Iterable[Complaint]],
    abilities: Iterable[str],
    usual: Mapping[str, bool] | None = None,
) -> Cell:
    """Run a tool on a subject. usual: its complaints about the healthy twin (key -> hard)."""
    if not subject.needs <= set(abilities):
        return Cell(subject.id, NOT_APPLICABLE)
    if not _warmed:  # the first call loads and compiles things
        list(run())
        _warmed.append(True)
    start = time.perf_counter()
    complaints = list(run())
    seconds = time.perf_counter() - start
    usual = usual or {}
    new = [c for c in complaints if c.key not in usual or (c.hard and not usual[c.key])]
    hard = [c for c in new if c.hard]
    if subject.correct:
        verdict = FALSE_ALARM if hard else WARNED if new else QUIET
    else:
        verdict = CAUGHT if hard else WARNED if new else MISSED
    text = "\n".join(c.text for c in (hard or new))
    named = () if subject.correct else named_in(text, subject)
    return Cell(subject.id, verdict, named, seconds, text[:2000])
