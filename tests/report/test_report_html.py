"""The HTML page: self-contained, right in a real browser, usable by keyboard."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gradcheck.report.html import compact, embedded, page, write
from gradcheck.report.jsonfile import document
from tests.report.sample import sample

CHROMIUM = next(
    (
        p
        for n in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (p := shutil.which(n))
    ),
    None,
)
browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed; install Debian's package chromium"
)


def dump(tmp_path: Path, text: str, *, script: str = "", dark: bool = False) -> str:
    """The DOM of the page after it was drawn, and after `script` ran in it."""
    file = tmp_path / "page.html"
    end = text.rindex("</body>")
    added = f"<script>{script}</script>" if script else ""
    file.write_text(text[:end] + added + text[end:], encoding="utf-8")
    assert CHROMIUM is not None
    # fmt: off
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,900",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        "--dump-dom", file.as_uri(),
    ]
    # fmt: on
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120, env=environment
    )
    return done.stdout


def answer(dom: str) -> object:
    """What a test script left in `data-answer`."""
    found = re.search(r'data-answer="([^"]*)"', dom)
    assert found, "the script did not finish"
    return json.loads(html.unescape(found[1]))


class Links(HTMLParser):
    """Everything in a page that makes a browser ask for something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {k}={v}" for k, v in attrs if k in ("src", "href", "action", "data")]


def test_the_page_asks_for_nothing() -> None:
    text = page(sample())
    links = Links()
    links.feed(text)
    assert links.found == []
    outside = re.findall(r"\w+://[^\s\"'`<]*", text.partition('id="report"')[0])
    outside += re.findall(
        r"\w+://[^\s\"'`<]*", text.rpartition("</script>")[0].rpartition("<script>")[2]
    )
    assert outside == ["http://www.w3.org/2000/svg"]  # a name, not an address
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    assert "default-src 'none'" in text


def test_data_cannot_end_its_script_element() -> None:
    inside = embedded(sample())
    assert "<" not in inside
    assert json.loads(inside)["items"][1]["text"].endswith("</script>")


def test_heat_maps_are_logarithms() -> None:
    heat = {"w": {"shape": [2, 2], "relative_error": [[1e-11, 0.5], [0.0, "nan"]]}}
    made = compact({"heatmap": heat, "graph": {"nodes": [], "edges": []}})
    assert made["heatmap"]["w"]["log10"] == [[-11.0, -0.3], [None, "nan"]]
    assert made["graph"] == {"nodes": [], "edges": []}


def test_a_run_writes_the_page(project) -> None:
    project.cases(one="checks: {planned: {find: cut}}", two="checks: {planned: }")
    project.run("--gradcheck", "--gradcheck-html", "out/r.html")
    text = (project.path / "out/r.html").read_text(encoding="utf-8")
    assert "cases/a.yaml::one::planned" in text
    assert '"complete": true' in text


@browser
def test_what_the_browser_draws(tmp_path: Path) -> None:
    dom = dump(tmp_path, page(sample()))
    assert re.search(r'data-ready="\d+ ms"', dom)
    assert "4 of 40 checks failed" in dom
    assert dom.count('class="cell passed"') == 33
    assert dom.count('class="cell failed"') == 3
    assert dom.count("<article") == 4  # the failures, without a click
    assert "the graph is cut at train.py:41" in dom
    assert 'class="node cut"' in dom
    assert "✂ rebuilt train.py:41" in dom
    assert dom.count("<canvas") == 2
    assert "worst 0.4 at [3, 7]; 1 NaN in magenta" in dom
    for axis in ("loss", "last loss", "relative error", "step", "learning rate", "step h"):
        assert f">{axis}</text>" in dom
    for figure in ("loss", "learning-rate sweep", "error against step", "graph"):
        assert f"<b>{figure}</b>" in dom
    assert 'class="dot bad"' in dom  # the rate that diverged
    assert "&lt;layers.0.weight&gt; is wrong: 1 of 384 entries &lt;/script&gt;" in dom


@browser
def test_an_empty_report_and_a_killed_run(tmp_path: Path) -> None:
    assert "No item matches" in dump(tmp_path, page(document([])))
    dom = dump(tmp_path, page({**sample(), "complete": False}))
    assert "the run did not finish" in dom


SCRIPT = """
const told = {};
const key = (k, on) => (on || document.activeElement).dispatchEvent(
  new KeyboardEvent("keydown", { key: k, bubbles: true, cancelable: true }));
const here = () => document.activeElement.getAttribute("aria-label") || document.activeElement.id;
key("/", document.body); told.slash = here();
const search = document.activeElement;
search.value = "qkv 38"; search.dispatchEvent(new Event("input"));
told.noMatch = document.querySelectorAll(".cell").length;
search.value = "mlp_digits"; search.dispatchEvent(new Event("input"));
told.search = [...document.querySelectorAll(".cell")].map((c) => c.getAttribute("aria-label"));
key("ArrowDown"); told.first = here();
key("ArrowRight"); told.right = here();
document.activeElement.click();
told.opened = document.querySelector("[aria-current]").getAttribute("aria-label");
told.hash = decodeURIComponent(location.hash);
key("Escape");
told.cleared = document.querySelectorAll(".cell").length;
key("n", document.body); told.next = document.activeElement.querySelector("h2").firstChild.data;
key("n"); told.after = document.activeElement.querySelector("h2").firstChild.data;
key("p"); told.back = document.activeElement.querySelector("h2").firstChild.data;
const passed = document.querySelector("#outcomes .passed");
passed.click();
told.pressed = passed.getAttribute("aria-pressed");
told.hidden = document.querySelectorAll(".cell").length;
passed.click();
const check = document.getElementById("check");
check.value = "gradient"; check.dispatchEvent(new Event("change"));
told.stops = [...document.querySelectorAll(".cell")].filter((c) => c.tabIndex === 0).length;
told.columns = [...document.querySelectorAll("#matrix thead th")].map((h) => h.textContent);
document.documentElement.dataset.answer = JSON.stringify(told);
"""


@browser
def test_keyboard_search_and_filters(tmp_path: Path) -> None:
    told = answer(dump(tmp_path, page(sample()), script=SCRIPT))
    mlp = "cases/mlp.yaml::mlp_digits"
    assert told == {
        "slash": "Search cases, tensors and messages",
        "noMatch": 0,
        "search": [f"{mlp}::gradient failed", f"{mlp}::overfit failed"],
        "first": f"{mlp}::gradient failed",
        "right": f"{mlp}::overfit failed",
        "opened": f"{mlp}::overfit failed",
        "hash": f"#{mlp}::overfit",
        "cleared": 40,
        "next": "cases/shakespeare.yaml::shakespeare_gpt::graph",
        "after": f"{mlp}::gradient",
        "back": "cases/shakespeare.yaml::shakespeare_gpt::graph",
        "pressed": "false",
        "hidden": 7,
        "stops": 1,
        "columns": ["case", "gradient"],
    }


ENTRIES = """
const told = [
  entriesOf([96, 32], 12, 16, 1, 2), entriesOf([8, 4], 8, 4, 2, 3), entriesOf([7], 1, 4, 0, 3),
  entriesOf([], 1, 1, 0, 0), entriesOf([2, 3, 5], 6, 5, 4, 1), entriesOf([40, 40, 50], 4, 4, 1, 0),
];
const lines = document.querySelector("article pre").textContent.split("\\n");
document.documentElement.dataset.answer = JSON.stringify([told, lines[0], lines.length]);
"""


@browser
def test_a_cell_of_a_heat_map_names_its_entries_and_lines_stay_lines(tmp_path: Path) -> None:
    told, first, count = answer(dump(tmp_path, page(sample()), script=ENTRIES))
    assert told == [
        "[8-15, 4-5]",
        "[2, 3]",
        "[6]",
        "[]",
        "[1, 1, 1]",
        "[row 400-799 of 40\u00d740, 0-12]",
    ]
    text = sample()["items"][0]["text"]
    assert (first, count) == (text.splitlines()[0], len(text.splitlines()) + 1)


COLOURS = """
const style = (s) => getComputedStyle(document.querySelector(s));
document.documentElement.dataset.answer = JSON.stringify(
  [style("body").backgroundColor, style("body").color]);
"""


@browser
def test_light_and_dark(tmp_path: Path) -> None:
    assert answer(dump(tmp_path, page(sample()), script=COLOURS)) == [
        "rgb(246, 247, 249)",
        "rgb(27, 31, 36)",
    ]
    assert answer(dump(tmp_path, page(sample()), script=COLOURS, dark=True)) == [
        "rgb(14, 17, 22)",
        "rgb(228, 232, 238)",
    ]


@browser
def test_a_thousand_items_are_all_there(tmp_path: Path) -> None:
    dom = dump(tmp_path, page(sample(1000)))
    assert dom.count('class="cell ') == 1000
    assert re.search(r'data-ready="\d+ ms"', dom)


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.html"
    write(path, sample(6))
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
