"""The HTML report: the JSON document inside one page that loads nothing from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from gradcheck.report.entry import as_float
from gradcheck.report.jsonfile import put

MARK = b"<title>gradcheck report</title>"
"""What the beginning of every page has."""
SCRIPTS = ("figures.js", "graph.js", "page.js")


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page for a JSON report (`jsonfile.document`). Raises OSError; an earlier page is
    then as it was."""
    put(path, page(document).encode("utf-8", "backslashreplace"))


def page(document: Mapping[str, Any]) -> str:
    """The whole page as text."""
    folder = files("gradcheck.report")
    text = folder.joinpath("page.html").read_text(encoding="utf-8")
    script = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    for mark, content in (
        ("/*STYLE*/", folder.joinpath("page.css").read_text(encoding="utf-8")),
        ("/*SCRIPT*/", script),
        ("/*DATA*/", embedded(document)),
    ):
        before, found, after = text.partition(mark)
        assert found, f"page.html has no {mark}"
        text = before + content + after
    return text


def embedded(document: Mapping[str, Any]) -> str:
    """The report as JSON that is safe inside a script element: no '<' can end it."""
    items = [{**item, "figures": compact(item["figures"])} for item in document["items"]]
    text = json.dumps({**document, "items": items}, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def compact(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Heat maps as decimal logarithms with one digit: a tenth of the text, nothing to be seen
    of the loss. An error of zero and one that is not a number stay apart as null and 'nan'."""
    heatmaps = figures.get("heatmap")
    if not isinstance(heatmaps, Mapping):
        return dict(figures)
    shrunk = {
        name: {
            **{key: value for key, value in heat.items() if key != "relative_error"},
            "log10": [[tenths(as_float(v)) for v in row] for row in heat["relative_error"]],
        }
        for name, heat in heatmaps.items()
    }
    return {**figures, "heatmap": shrunk}


def tenths(error: float | None) -> float | str | None:
    if error is None or math.isnan(error):
        return "nan"
    if error == 0:
        return None
    return 9.0 if math.isinf(error) else round(math.log10(abs(error)), 1)
