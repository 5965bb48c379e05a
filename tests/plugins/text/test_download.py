"""Fetching, from a server on loopback: digest, cache, and every error as a sentence."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from gradcheck.plugins.text import __main__ as command
from gradcheck.plugins.text import download
from gradcheck.plugins.text.errors import DataError
from gradcheck.plugins.text.files import KNOWN, KnownFile
from gradcheck.plugins.text.locate import cached_path, locate

from tests.plugins.text.conftest import Server

pytest.importorskip("pooch")

TEXT = b"To be, or not to be.\n" * 200


def known(content: bytes = TEXT, name: str = "play") -> KnownFile:
    return KnownFile(
        name=name,
        url="http://127.0.0.1:9/original/folder/play.txt",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="public domain",
        local_names=("play.txt",),
    )


def test_a_file_is_fetched_verified_and_kept(server: Server, cache: Path) -> None:
    server.files["play.txt"] = TEXT
    path = download.fetch(known(), base_url=server.url, progress=False)
    assert path == cache / "play.txt"
    assert path.read_bytes() == TEXT
    assert download.fetch(known(), base_url=server.url, progress=False) == path
    assert server.requests == 1  # the second time it comes from the cache


def test_progress_is_drawn(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    server.files["play.txt"] = TEXT
    download.fetch(known(), base_url=server.url)
    assert "100%" in capfd.readouterr().err


def test_the_cache_needs_no_network(server: Server, cache: Path) -> None:
    cache.mkdir()
    cached_path(known()).write_bytes(TEXT)
    found = locate(known(), download=True)
    assert found is not None
    assert found.genuine
    assert server.requests == 0


def test_404_names_address_and_way_out(server: Server, cache: Path) -> None:
    with pytest.raises(DataError, match=r"play\.txt answered 404 Not Found; check the address"):
        download.fetch(known(), base_url=server.url, progress=False)
    assert not cached_path(known()).exists()


def test_wrong_digest_stores_nothing(server: Server, cache: Path) -> None:
    server.files["play.txt"] = TEXT[:-1]  # a copy one byte shorter
    with pytest.raises(DataError, match="is not the published play: its sha256"):
        download.fetch(known(), base_url=server.url, progress=False)
    assert not list(cache.glob("*"))


def test_a_broken_connection_stores_nothing(server: Server, cache: Path) -> None:
    server.files["play.txt"] = TEXT
    server.truncated.add("play.txt")
    with pytest.raises(DataError, match=r"broke off|sha256"):
        download.fetch(known(), base_url=server.url, progress=False)
    assert not list(cache.glob("*"))


def test_no_network(server: Server) -> None:
    url = server.url
    server.close()
    with pytest.raises(DataError, match=r"no connection to http://127\.0\.0\.1.*GRADCHECK_DATA"):
        download.fetch(known(), base_url=url, progress=False)
    server.__init__()  # type: ignore[misc]  # the fixture closes it again


def test_a_damaged_cached_file_is_named(server: Server, cache: Path) -> None:
    server.files["play.txt"] = TEXT
    cache.mkdir()
    damaged = cached_path(known())
    damaged.write_bytes(b"X" + TEXT[1:])
    with pytest.raises(DataError, match="cached file is damaged") as caught:
        download.fetch(known(), base_url=server.url, progress=False)
    assert str(damaged) in str(caught.value)
    assert "delete it" in str(caught.value)
    assert server.requests == 0
    assert damaged.exists()


def test_without_pooch(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=r"pip install 'pytest-gradcheck\[data\]'"):
        download.fetch(known(), base_url=server.url)


def test_a_malformed_address() -> None:
    with pytest.raises(DataError, match="cannot be fetched"):
        download.fetch(known(), base_url="no-address", progress=False)


def test_a_folder_that_cannot_be_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["play.txt"] = TEXT
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GRADCHECK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="cannot be written"):
        download.fetch(known(), base_url=server.url, progress=False)


def test_the_command_fetches(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(KNOWN, "shakespeare", known(name="shakespeare"))
    server.files["play.txt"] = TEXT
    assert command.main(["fetch", "shakespeare", "--base-url", server.url]) == 0
    assert "shakespeare.txt" in capsys.readouterr().out
    assert command.main(["list"]) == 0
    assert "shakespeare.txt" in capsys.readouterr().out


def test_the_command_tells_an_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(KNOWN, "shakespeare", known(name="shakespeare"))
    assert command.main(["fetch", "shakespeare", "--base-url", server.url]) == 1
    assert capsys.readouterr().err.startswith("error: http://127.0.0.1")


def test_addresses_are_pinned() -> None:
    for file in KNOWN.values():
        assert file.url.startswith("https://")
        assert len(file.sha256) == 64
        assert download.address(file, "http://mirror/x/") == f"http://mirror/x/{file.remote_name}"
        assert download.address(file) == file.url
