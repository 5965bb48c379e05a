"""The text files known by address, size and digest. The texts themselves are not shipped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SEPARATOR = "<|endoftext|>"
"""The line between two stories of a file in the TinyStories format."""


@dataclass(frozen=True)
class KnownFile:
    """One file as its publisher has it.

    name: what people call it. url: pinned to a revision. size: in bytes. local_names: what the
    file may be called in a data directory. stories: whether it is in the TinyStories format.
    starts_inside: whether its first story lacks its beginning.
    """

    name: str
    url: str
    size: int
    sha256: str
    licence: str
    local_names: tuple[str, ...]
    stories: bool = False
    starts_inside: bool = False

    @property
    def remote_name(self) -> str:
        return self.url.rpartition("/")[2]


_SHAKESPEARE = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/"
    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/"
)
_TINYSTORIES = (
    "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/"
    "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64/"
)

KNOWN: dict[str, KnownFile] = {
    file.name: file
    for file in (
        KnownFile(
            name="shakespeare",
            url=_SHAKESPEARE + "input.txt",
            size=1_115_394,
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            licence="public domain",
            local_names=("tinyshakespeare.txt", "input.txt"),
        ),
        KnownFile(
            name="tinystories-valid",
            url=_TINYSTORIES + "TinyStoriesV2-GPT4-valid.txt",
            size=22_502_601,
            sha256="6874bae9a4c1a4e7edcf0e53b86c17817e9cf881fc75ff2368da457b80c0585d",
            licence="CDLA-Sharing-1.0",
            local_names=("TinyStoriesV2-GPT4-valid.txt",),
            stories=True,
            starts_inside=True,
        ),
        KnownFile(
            name="tinystories-train",
            url=_TINYSTORIES + "TinyStoriesV2-GPT4-train.txt",
            size=2_227_753_162,
            sha256="6418d412de72888f52b5142c761ac21a582f7d1166f0bfbdb5f03ccfdec90443",
            licence="CDLA-Sharing-1.0",
            local_names=("TinyStoriesV2-GPT4-train.txt",),
            stories=True,
        ),
    )
}


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal. Read once as long as size and time stay the same."""
    stat = path.stat()
    return _sha256(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=32)
def _sha256(path: str, size: int, modified: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_genuine(path: Path, file: KnownFile) -> bool:
    """Whether `path` holds exactly the published bytes."""
    return path.stat().st_size == file.size and sha256(path) == file.sha256


def difference(path: Path, file: KnownFile) -> str:
    """Return a clause that says how `path` differs from the published file."""
    size = path.stat().st_size
    if size != file.size:
        return f"it has {size:,} bytes instead of {file.size:,}"
    return f"its sha256 is {sha256(path)} instead of {file.sha256}"
