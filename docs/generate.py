"""Writes the generated parts of the documents, between their markers: `python docs/generate.py`."""

from __future__ import annotations

import re
from pathlib import Path

from gradcheck.names.load import load
from gradcheck.options import table
from gradcheck.yamlcases.export.markdown import reference

DOCS = Path(__file__).parent
PARTS = {
    "reference": lambda: reference(load(entry_points=False)),
    "options": table,
}
MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(document: str) -> str:
    """The document with every generated part made anew."""
    return MARKED.sub(lambda m: f"{m[1]}{PARTS[m[2]]().strip()}\n{m[3]}", document)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        path.write_text(rendered(text), encoding="utf-8")
