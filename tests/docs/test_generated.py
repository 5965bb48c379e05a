"""The generated parts of the documents say what the code says."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_generated_parts_are_fresh(path):
    text = path.read_text(encoding="utf-8")
    rendered = runpy.run_path(str(DOCS / "generate.py"))["rendered"]
    assert rendered(text) == text, "run: python docs/generate.py"


def test_a_stale_part_is_seen():
    rendered = runpy.run_path(str(DOCS / "generate.py"))["rendered"]
    stale = "<!-- generated: options -->\nold\n<!-- end -->"
    assert "--gradcheck-seed" in rendered(stale)
