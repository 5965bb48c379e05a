"""Tokenizers, splits, windows, and the generated stories."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from gradcheck.plugins.text import datasets
from gradcheck.plugins.text.bytepairs import BytePairTokenizer
from gradcheck.plugins.text.characters import CharacterTokenizer
from gradcheck.plugins.text.errors import DataError
from gradcheck.plugins.text.files import SEPARATOR
from gradcheck.plugins.text.grammar import generate
from gradcheck.plugins.text.locate import DATA_VARIABLE
from gradcheck.plugins.text.splitting import read_stories

REAL = os.environ.get(DATA_VARIABLE)


def test_characters_there_and_back() -> None:
    text = "Curly \u201cquotes\u201d, \u00e9 and \U0001f600."
    tokenizer = CharacterTokenizer.of(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.tokens == sorted(set(text))
    assert tokenizer.encode("").shape == (0,)


def test_the_separator_is_one_id() -> None:
    text = f"ab{SEPARATOR}ba"
    tokenizer = CharacterTokenizer.of(text, [SEPARATOR])
    assert len(tokenizer) == 3  # the separator's own characters are no tokens
    assert tokenizer.encode(text).tolist() == [1, 2, 0, 2, 1]
    assert tokenizer.id_of(SEPARATOR) == 0
    assert tokenizer.decode([1, 0]) == f"a{SEPARATOR}"


@pytest.mark.parametrize("text", ["z", "\U0001f600", "abz"])
def test_an_unknown_character_is_named(text: str) -> None:
    with pytest.raises(DataError, match=f"the character '{text[-1]}' is not among the 2 tokens"):
        CharacterTokenizer.of("ab").encode(text)


def test_byte_pairs_there_and_back() -> None:
    pytest.importorskip("tokenizers")
    texts = ("the cat and the hat", "the \u201cend\u201d")
    tokenizer = BytePairTokenizer(texts, 265, (SEPARATOR,))
    assert len(tokenizer) == 265
    for text in (*texts, "unseen: \u00e9\U0001f600 "):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(f"the{SEPARATOR}").tolist().count(0) == 1
    assert len(tokenizer.encode("the the")) < 5
    with pytest.raises(DataError, match="vocab_size is 100; byte-level pairs need at least 257"):
        BytePairTokenizer(texts, 100, (SEPARATOR,))


def test_byte_pairs_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"pip install 'pytest-gradcheck\[tokenizers\]'"):
        BytePairTokenizer(("a",), 300)


@pytest.mark.parametrize("tokenizer", ["characters", "bpe"])
def test_windows_and_targets(tokenizer: str) -> None:
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    data = datasets.stories(stories=60, context=16, tokenizer=tokenizer, vocab_size=300)
    assert len(data) == (len(data.ids) - 17) // 16 + 1
    for i in (0, 1, len(data) - 1):
        x, y = data[i]
        np.testing.assert_array_equal(x[1:], y[:-1])
        assert x.shape == y.shape == (16,)
    np.testing.assert_array_equal(data[1][0][0], data[0][1][-1])
    with pytest.raises(IndexError):
        data[len(data)]
    assert max(data.ids) < data.vocab
    every = datasets.stories(stories=60, context=16, stride=1, tokenizer=tokenizer, vocab_size=300)
    assert len(every) == len(every.ids) - 16
    np.testing.assert_array_equal(every[5][0], every.ids[5:21])


def test_the_validation_split_has_whole_stories_that_training_never_sees() -> None:
    train = datasets.stories(stories=100, context=8)
    held_out = train.validation()
    both = [data.decode(data.ids) for data in (train, held_out)]
    whole = datasets.stories(stories=100, context=8, split="all")
    assert "".join(both) == whole.decode(whole.ids)
    assert [text.count(SEPARATOR) for text in both] == [90, 10]
    assert all(text.endswith(SEPARATOR) for text in both)
    assert held_out.vocab == train.vocab
    with pytest.raises(DataError, match="no validation part"):
        held_out.validation()
    named = datasets.stories(stories=100, context=8, split="validation")
    np.testing.assert_array_equal(named.ids, held_out.ids)


def test_plain_text_is_split_by_character(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("abcdefghij" * 10)
    train = datasets.text_file(path=str(path), context=4)
    assert (len(train.ids), len(train.validation().ids)) == (90, 10)


def test_generated_stories_follow_from_the_seed() -> None:
    assert generate(20, 3) == generate(20, 3)
    assert generate(20, 3) != generate(20, 4)
    text = generate(500, 0)
    assert text.count(f"\n{SEPARATOR}\n") == 500
    assert "{" not in text
    assert "}" not in text
    assert len(set(text.split(SEPARATOR))) > 450  # they differ


def test_stories_are_read_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_bytes(generate(10, 0).replace("\n", "\r\n").encode())
    found = read_stories(path)
    assert len(found) == 10
    assert found == [s.strip() for s in generate(10, 0).split(SEPARATOR) if s.strip()]
    data = datasets.text_file(path=str(path), format="stories", context=8, split="all")
    assert data.decode(data.ids).count(SEPARATOR) == 10


def test_a_file_without_stories(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text(f"\n{SEPARATOR}\n")
    with pytest.raises(DataError, match="holds no story"):
        read_stories(path)


def test_what_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("caf\u00e9".encode("latin-1"))
    for form in ("plain", "stories"):
        with pytest.raises(DataError, match="is not UTF-8"):
            datasets.text_file(path=str(path), format=form)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "split is 'test'"),
        ({"tokenizer": "words"}, "tokenizer is 'words'"),
        ({"context": 100000}, "too few for one window of 100000"),
        ({"context": 0}, "both must be at least 1"),
    ],
)
def test_mistakes_are_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        datasets.stories(stories=20, **options)


@pytest.mark.skipif(
    not REAL or not (Path(REAL) / "tinyshakespeare.txt").is_file(),
    reason=f"{DATA_VARIABLE} names no directory with tinyshakespeare.txt",
)
def test_the_real_shakespeare(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REAL is not None
    monkeypatch.setenv(DATA_VARIABLE, REAL)
    data = datasets.shakespeare(context=64)
    assert data.source.startswith("shakespeare, from")
    assert data.vocab == 65
    assert (len(data.ids), len(data.validation().ids)) == (1003854, 111540)
    assert data.decode(data.ids[:14]) == "First Citizen:"
    assert data.validation().decode(data.validation().ids[:12]) == "?\n\nGREMIO:\nG"
