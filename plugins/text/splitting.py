"""Cutting a text into its stories, and into a part to train on and a part held out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .errors import DataError
from .files import SEPARATOR

SPLITS = ("train", "validation", "all")


def check_split(split: str) -> None:
    """Raises DataError unless `split` is a known one."""
    if split not in SPLITS:
        raise DataError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")


def split_text(text: str, split: str, held_out: float) -> str:
    """The first 1 - held_out of the characters, the rest, or all of them."""
    check_split(split)
    border = int(len(text) * (1 - held_out))
    return {"train": text[:border], "validation": text[border:], "all": text}[split]


def split_stories(stories: list[str], split: str, held_out: float) -> list[str]:
    """The same by story: none has its beginning in one part and its end in the other."""
    check_split(split)
    border = len(stories) - max(1, round(len(stories) * held_out)) if len(stories) > 1 else 1
    return {"train": stories[:border], "validation": stories[border:], "all": stories}[split]


def read_stories(path: Path, *, limit: int | None = None, starts_inside: bool = False) -> list[str]:
    """The stories of a file in the TinyStories format, at most `limit`, read as far as needed.

    Stories are separated by a line `<|endoftext|>`. With `starts_inside`, the first one lacks its
    beginning and is left out. Raises DataError when the file is not UTF-8 or holds no story.
    """
    found: list[str] = []
    try:
        with open(path, encoding="utf-8", newline=None) as stream:
            for number, each in enumerate(stories_of(stream)):
                if limit is not None and len(found) >= limit:
                    break
                if each and not (number == 0 and starts_inside):
                    found.append(each)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    if not found:
        raise DataError(f"{path} holds no story; stories end with a line {SEPARATOR}")
    return found


def stories_of(lines: Iterator[str]) -> Iterator[str]:
    """Each story without the white space around it; empty ones too."""
    lines_of_story: list[str] = []
    for line in lines:
        if line.strip() == SEPARATOR:
            yield "".join(lines_of_story).strip()
            lines_of_story = []
        else:
            lines_of_story.append(line)
    rest = "".join(lines_of_story).strip()
    if rest:
        yield rest
