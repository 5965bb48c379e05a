"""The text datasets as cases name them. Each returns `TextWindows` and says where its text is from.

Arguments that all of them take:
context: ids in a window. stride: how far the next window starts (default: context).
split: 'train', 'validation' or 'all'. held_out: the share of the validation split.
tokenizer: 'characters' or 'bpe' (with vocab_size).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bytepairs import BytePairTokenizer
from .characters import CharacterTokenizer
from .errors import DataError
from .files import KNOWN, SEPARATOR, KnownFile
from .grammar import generate
from .locate import Located, from_path, how_to_get, locate
from .splitting import check_split, read_stories, split_stories, split_text, stories_of
from .windows import TextWindows

STORIES = 2000
"""How many stories the grammar writes by default: about 600,000 characters."""


def shakespeare(
    *,
    path: str | None = None,
    download: bool = False,
    required: bool = False,
    **options: Any,
) -> TextWindows:
    """The 1,115,394-byte excerpt of char-rnn, first 90 % to train on, last 10 % held out.

    Looked for at `path`, in the directory of GRADCHECK_DATA, in the cache, and with `download` on
    the network. When it is nowhere, generated stories take its place and `source` says so, unless
    `required`. What was asked for by `path` or `download` is never replaced.
    """
    file = KNOWN["shakespeare"]
    found = locate(file, path=path, download=download)
    if found is None:
        return _instead(file, required, options)
    return _plain(_read(found.path), found.source, **options)


def tinystories(
    *,
    part: str = "valid",
    path: str | None = None,
    download: bool = False,
    required: bool = False,
    stories: int | None = None,
    **options: Any,
) -> TextWindows:
    """TinyStories, version 2: the validation file or (`part: train`) the training file.

    Looked for as `shakespeare` is. stories: read only that many. Split by story; the separator is
    one id.
    """
    file = KNOWN.get(f"tinystories-{part}")
    if file is None:
        raise DataError(f"part is {part!r}; tinystories has the parts 'valid' and 'train'")
    found = locate(file, path=path, download=download)
    if found is None:
        return _instead(file, required, options)
    texts = _stories_of_file(found, file, stories)
    return _told(tuple(texts), found.source, **options)


def stories(*, stories: int = STORIES, seed: int = 0, **options: Any) -> TextWindows:
    """Stories that a seeded grammar writes, in the TinyStories format: needs no file."""
    source = f"{stories} generated stories, grammar seed {seed}"
    return _told(_generated(stories, seed), source, **options)


def text_file(*, path: str, format: str = "plain", **options: Any) -> TextWindows:
    """Any UTF-8 text: format 'plain' is split by character, 'stories' by story.

    path: in a case, a file in the folder of the case file.
    """
    found = from_path(Path(path).expanduser(), None)
    if format == "stories":
        return _told(tuple(read_stories(found.path)), found.source, **options)
    if format != "plain":
        raise DataError(f"format is {format!r}; a text file is 'plain' or 'stories'")
    return _plain(_read(found.path), found.source, **options)


def _instead(file: KnownFile, required: bool, options: dict[str, Any]) -> TextWindows:
    if required:
        raise DataError(f"{file.name} is not on this machine; {how_to_get(file)}")
    source = (
        f"{STORIES} generated stories, grammar seed 0, because {file.name} is not on this machine "
        f"({how_to_get(file)})"
    )
    return _told(_generated(STORIES, 0), source, **options)


@lru_cache(maxsize=4)
def _generated(count: int, seed: int) -> tuple[str, ...]:
    return tuple(stories_of(iter(generate(count, seed).splitlines(keepends=True))))


def _stories_of_file(found: Located, file: KnownFile, limit: int | None) -> list[str]:
    inside = found.genuine and file.starts_inside
    return read_stories(found.path, limit=limit, starts_inside=inside)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


def _plain(
    text: str,
    source: str,
    *,
    context: int = 64,
    stride: int | None = None,
    split: str = "train",
    held_out: float = 0.1,
    tokenizer: str = "characters",
    vocab_size: int = 512,
) -> TextWindows:
    """A running text, split by character."""
    check_split(split)
    made = _tokenizer(tokenizer, (text,), vocab_size, ())

    def part(name: str, then: Callable[[], TextWindows] | None) -> TextWindows:
        return TextWindows(
            _encoded(made, split_text(text, name, held_out)),
            made,
            context=context,
            stride=stride or context,
            source=source,
            split=name,
            held_out=then,
        )

    return part(split, (lambda: part("validation", None)) if split == "train" else None)


def _told(
    texts: tuple[str, ...],
    source: str,
    *,
    context: int = 64,
    stride: int | None = None,
    split: str = "train",
    held_out: float = 0.1,
    tokenizer: str = "characters",
    vocab_size: int = 512,
) -> TextWindows:
    """Stories, split by story, each followed by the one id of the separator."""
    check_split(split)
    made = _tokenizer(tokenizer, texts, vocab_size, (SEPARATOR,))

    def part(name: str, then: Callable[[], TextWindows] | None) -> TextWindows:
        chosen = split_stories(list(texts), name, held_out)
        return TextWindows(
            _encoded(made, "".join(each + SEPARATOR for each in chosen)),
            made,
            context=context,
            stride=stride or context,
            source=source,
            split=name,
            held_out=then,
        )

    return part(split, (lambda: part("validation", None)) if split == "train" else None)


@lru_cache(maxsize=4)
def _tokenizer(
    kind: str, texts: tuple[str, ...], vocab_size: int, specials: tuple[str, ...]
) -> Any:
    """Made once for a text: every check of a case asks for it again."""
    if kind == "characters":
        return CharacterTokenizer.of("".join(texts), specials)
    if kind == "bpe":
        return BytePairTokenizer(texts, vocab_size, specials)
    raise DataError(f"tokenizer is {kind!r}; it must be 'characters' or 'bpe'")


@lru_cache(maxsize=4)
def _encoded(tokenizer: Any, text: str) -> NDArray[Any]:
    ids = np.asarray(tokenizer.encode(text))
    ids.flags.writeable = False  # shared by all datasets of this text
    return ids
