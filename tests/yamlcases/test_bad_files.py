"""Every error text of bad case files, word for word, and that the good cases beside them run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.yamlcases.load import load_cases
from gradcheck.yamlcases.text import YamlProblem, compose
from tests.support.golden import Golden, read_sections
from tests.yamlcases.shelf import GOOD, HEAD, MODEL, REGISTRY, load, messages

FILES = Path(__file__).parent / "bad_files.txt"
SAID = "--- errors"
# name -> the text of the file
TABLE = {name: text.split(SAID)[0] for name, text in read_sections(FILES)[1].items()}


def test_there_are_many() -> None:
    assert len(TABLE) > 50


@pytest.mark.parametrize("name", TABLE)
def test_errors_are_these(name: str, golden: Golden) -> None:
    loaded = load(TABLE[name])
    errors = "".join(str(e).removeprefix("cases/a.yaml:") + "\n" for e in loaded.errors)
    cases = f"--- cases: {', '.join(c.name for c in loaded.cases)}"
    golden(f"{TABLE[name]}{SAID}\n{errors}{cases}", name=name, path=FILES)
    for error in loaded.errors:
        assert "Traceback" not in error.message
        assert "Input should" not in error.message
        assert "pydantic" not in error.message
        assert error.line >= 1
        assert error.column >= 1


def test_empty_file() -> None:
    said = "the file is empty; write `schema: 1` and "
    assert messages("") == [f"1:1: {said}`cases: {{tanh: {{op: tanh, inputs: {{x: [2, 5]}}}}}}`"]
    assert messages("") == messages("\ufeff") == messages("---\n") == messages("\n\n")


def test_tabs() -> None:
    said = "there is a tab in the indentation; YAML indents with spaces only: replace the tab"
    assert messages(HEAD + "  bad:\n\top: tanh\n") == [f"4:1: {said}"]
    assert messages(HEAD + GOOD + "    \tseed: 1\n") == [f"6:5: {said}"]


def test_five_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(HEAD + GOOD + "# " + "x" * 5_000_000, encoding="utf-8")
    loaded = load_cases(path, REGISTRY, tmp_path)
    assert loaded.cases == ()
    assert [str(e) for e in loaded.errors] == [
        "large.yaml:1:1: the file has more than 4 MB, the most that a case file may have; "
        "split it into several files"
    ]


def test_other_encodings() -> None:
    assert messages((HEAD + GOOD).encode() + b"  caf\xe9: {op: tanh}\n") == [
        "6:6: byte 0xe9 is not UTF-8; save the file as UTF-8"
    ]
    assert messages(HEAD.encode("utf-16")) == ["1:1: the file is UTF-16; save it as UTF-8"]
    assert messages(HEAD + "  a\x07b: {}\n") == [
        "3:4: character U+0007 is not allowed in YAML; remove it"
    ]


@pytest.mark.parametrize("of", ["[{}]", "{{<<: [{}]}}"], ids=["lists", "merges"])
def test_yaml_bomb(of: str) -> None:
    lines = ["schema: 1", "x-a: &a " + ("[1]" if "<" not in of else "{a: 1}")]
    for name, inner in zip("bcdefghijklmnop", "abcdefghijklmno"):
        lines.append(f"x-{name}: &{name} " + of.format(", ".join([f"*{inner}"] * 10)))
    (said,) = messages("\n".join(lines) + "\ncases:\n" + GOOD)
    assert said.endswith(
        "aliases and merges make more than 1,500,000 values here; use fewer of them"
    )
    assert said.startswith("8:6: ")


def test_many_merges_of_much() -> None:
    much = ", ".join(f"k{i}: 1" for i in range(2000))
    cases = "".join(f"  c{i}: {{<<: *much, op: tanh}}\n" for i in range(2000))
    (said,) = messages(f"schema: 1\nx-much: &much {{{much}}}\ncases:\n{cases}")
    assert "aliases and merges make more than 1,500,000 values" in said


def test_nesting_is_bounded() -> None:
    for deep in ("[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000):
        (said,) = messages("schema: 1\nx-a:\n  " + deep + "\ncases:\n" + GOOD)
        assert said.endswith("more than 64 levels deep; flatten it")
    chain = "".join(f"x-{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(100))
    (said,) = messages("schema: 1\nx-0: &a0 [1]\n" + chain + "cases:\n" + GOOD)
    assert said.endswith("aliases nest more than 64 levels deep here; flatten it")


def test_many_values_are_bounded() -> None:
    (said,) = messages("schema: 1\nx-a: [" + "a," * 700_000 + "]\ncases:\n" + GOOD)
    assert said == "2:6: more than 600,000 values in one file; split the file"


def test_many_directives_are_refused_at_once() -> None:
    many = "".join(f"%TAG !{i}! x\n" for i in range(100_000))
    said = "directives are not used in case files; remove it"
    assert messages(many + "---\n" + HEAD + GOOD) == [f"1:1: %TAG {said}"]
    assert messages(HEAD + GOOD + "...\n" + many) == [f"7:1: %TAG {said}"]


def test_long_numbers() -> None:
    text = HEAD + GOOD + "  bad: {op: tanh, inputs: {x: [2]}, seed: " + "9" * 5000 + "}\n"
    assert messages(text) == ["6:43: a number of 5,000 characters; the most is 300"]


def test_parametrize_is_bounded() -> None:
    values = ", ".join(map(str, range(200)))
    text = HEAD + GOOD + "  bad:\n    op: tanh\n    inputs: {x: [2]}\n    parametrize:\n"
    text += f"      seed: [{values}]\n      args.a: [{values}]\n      cost: [{values}]\n"
    assert messages(text) == ["9:5: parametrize makes 8,000,000 cases; the most is 10,000"]


def test_errors_are_bounded() -> None:
    loaded = load(HEAD + GOOD + "".join(f"  c{i}: {{op: tann{i}}}\n" for i in range(3000)))
    assert len(loaded.errors) == 101
    assert loaded.errors[-1].message == "this file has more errors; fix those above first"
    assert [c.name for c in loaded.cases] == ["good"]


def test_one_error_for_what_many_cases_inherit() -> None:
    inherits = "".join(f"  c{i}: {{inputs: {{x: [2]}}}}\n" for i in range(5))
    assert messages("schema: 1\ndefaults: {op: tahn}\ncases:\n" + inherits) == [
        "2:16: no op of framework tinytorch is called 'tahn'; did you mean 'tanh'?"
    ]


def test_errors_in_anchors_are_said_where_the_anchor_stands() -> None:
    text = "schema: 1\nx-base: &base\n  seed: one\ncases:\n" + GOOD.replace(
        "op: tanh", "<<: *base\n    op: tanh"
    )
    assert messages(text) == ["3:9: seed must be a whole number, not 'one'"]


def test_long_words_are_clipped() -> None:
    for text in (
        HEAD + "  bad: {op: " + "x" * 100_000 + ", inputs: {x: [2]}}\n",
        HEAD + "  bad: {" + "x" * 1000 + ": 1, op: tanh, inputs: {x: [2]}}\n",
        HEAD + "  " + "x" * 1000 + ": {op: tanh, inputs: {x: [2]}}\n",
        HEAD + MODEL + "    checks: {" + "x" * 1000 + ": }\n",
        HEAD + MODEL + "    marks: ['" + "é" * 100_000 + "']\n",
    ):
        (said,) = messages(text)
        assert len(said) < 400


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "none.yaml", "the file cannot be read: it does not exist"),
        (tmp_path, "the file cannot be read: it is not a file"),
    ):
        (error,) = load_cases(path, REGISTRY, tmp_path).errors
        assert error.message == said


@pytest.mark.parametrize("name", TABLE)
def test_the_python_parser_refuses_the_same_texts(name: str) -> None:
    """Where libyaml is not there: other words perhaps, but the same verdict."""
    verdicts = []
    for pure in (False, True):
        try:
            compose(TABLE[name], pure=pure)
            verdicts.append("read")
        except YamlProblem:
            verdicts.append("refused")
    assert verdicts[0] == verdicts[1]
