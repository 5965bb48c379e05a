"""Where a text comes from, in which order, and that an explicit wish is never replaced silently."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from gradcheck.plugins.text import datasets
from gradcheck.plugins.text.errors import DataError
from gradcheck.plugins.text.files import KNOWN, KnownFile
from gradcheck.plugins.text.locate import DATA_VARIABLE, cache_folder, cached_path

from tests.plugins.text.conftest import Server

TEXT = "First line of a play.\nSecond line.\n" * 30
STORIES = "end of a story.\n<|endoftext|>\n" + "".join(
    f"A story, the {n}th.\nIt ends.\n<|endoftext|>\n" for n in range(20)
)


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The known files with the digests of the texts above."""
    for name, text in (("shakespeare", TEXT), ("tinystories-valid", STORIES)):
        published = KNOWN[name]
        content = text.encode()
        small = KnownFile(
            **{
                **vars(published),
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
        monkeypatch.setitem(KNOWN, name, small)


def published_at(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    small = KNOWN["shakespeare"]
    moved = KnownFile(**{**vars(small), "url": f"{server.url}/{small.remote_name}"})
    monkeypatch.setitem(KNOWN, "shakespeare", moved)


def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str = TEXT) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "tinyshakespeare.txt").write_text(text)
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    return folder


def in_cache(text: str = TEXT) -> None:
    cache_folder().mkdir()
    cached_path(KNOWN["shakespeare"]).write_text(text)


def test_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_directory(tmp_path, monkeypatch)
    in_cache()
    own = tmp_path / "own.txt"
    own.write_text("entirely another text " * 20)
    found = datasets.shakespeare(path=str(own), context=8)
    assert found.source.startswith(f"text of {own}")
    assert "not the published shakespeare" in found.source
    assert found.decode(found[0][0]) == "entirely"


def test_a_path_with_the_right_digest_is_called_by_its_name(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text(TEXT)
    assert datasets.shakespeare(path=str(own), context=8).source == f"shakespeare, from {own}"


def test_the_data_directory_comes_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_directory(tmp_path, monkeypatch)
    in_cache("damaged")  # never looked at
    assert DATA_VARIABLE in datasets.shakespeare(context=8).source


def test_the_cache_comes_before_the_network(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_at(server, monkeypatch)
    in_cache()
    found = datasets.shakespeare(context=8, download=True)
    assert "from the cache" in found.source
    assert server.requests == 0


def test_the_network_only_when_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    published_at(server, monkeypatch)
    server.files["input.txt"] = TEXT.encode()
    assert "generated" in datasets.shakespeare(context=8).source
    assert server.requests == 0
    pytest.importorskip("pooch")
    found = datasets.shakespeare(context=8, download=True)
    assert found.source.startswith("shakespeare, fetched to")
    assert server.requests == 1


def test_offline_default_says_what_it_is() -> None:
    found = datasets.shakespeare(context=8)
    assert found.source.startswith("2000 generated stories")
    assert "because shakespeare is not on this machine" in found.source
    assert "fetch shakespeare" in found.source


def test_required_is_an_error_instead() -> None:
    with pytest.raises(DataError, match="shakespeare is not on this machine; put tinyshakespeare"):
        datasets.shakespeare(context=8, required=True)


def test_an_explicit_path_never_falls_back(tmp_path: Path) -> None:
    in_cache()
    with pytest.raises(DataError, match=r"file .*missing\.txt does not exist"):
        datasets.shakespeare(path=str(tmp_path / "missing.txt"))


def test_an_explicit_download_never_falls_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_at(server, monkeypatch)
    pytest.importorskip("pooch")
    with pytest.raises(DataError, match="404"):
        datasets.shakespeare(download=True)


def test_a_shorter_copy_in_the_data_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_directory(tmp_path, monkeypatch, TEXT[:-1])
    with pytest.raises(DataError, match="is not the published shakespeare: it has 1,049 bytes"):
        datasets.shakespeare()


def test_a_data_directory_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"GRADCHECK_DATA is .*nowhere.*not a directory"):
        datasets.shakespeare()


def test_a_damaged_cache_is_named() -> None:
    in_cache("X" + TEXT[1:])
    with pytest.raises(DataError, match=r"cached file is damaged: .*shakespeare\.txt"):
        datasets.shakespeare()


def test_tinystories_begin_with_the_first_whole_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "TinyStoriesV2-GPT4-valid.txt").write_text(STORIES)
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    found = datasets.tinystories(context=4, split="all")
    assert found.source.startswith("tinystories-valid, from")
    assert found.decode(found.ids).startswith("A story, the 0th.")
    assert found.decode(found.ids).count("A story") == 20
    few = datasets.tinystories(context=4, split="all", stories=3)
    assert few.decode(few.ids).count("A story") == 3


def test_tinystories_parts() -> None:
    with pytest.raises(DataError, match="part is 'test'"):
        datasets.tinystories(part="test")
    assert "generated" in datasets.tinystories(part="train", context=8).source
