"""Every YAML, Python and console snippet in README and docs/ runs and does what it says."""

from pathlib import Path

import pytest

from tests.docs.snippets import blocks_of, first_missing, run_document

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.slow  # each command of a document is a process of its own
@pytest.mark.parametrize("path", DOCUMENTS, ids=[p.name for p in DOCUMENTS])
def test_document(path, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    problems = run_document(path.read_text(encoding="utf-8"), tmp_path)
    assert not problems, "\n\n".join(problems)


def test_the_runner_sees_what_is_wrong(tmp_path):
    wrong = "```python\nassert 1 == 2\n```\n\n```console\n$ python -c 'print(1)'\n2\n```\n"
    assert len(run_document(wrong, tmp_path)) == 2


def test_blocks_know_their_place():
    (block,) = blocks_of("a\n\n```yaml file=cases/a.yaml fails\nx: 1\n```\n")
    assert (block.file, block.fails, block.text, block.line) == ("cases/a.yaml", True, "x: 1\n", 3)


def test_lines_are_expected_in_order():
    assert first_missing("a\n...\nc\n", "a\nb\nc\n") is None
    assert first_missing("c\na\n", "a\nb\nc\n") == "a"
