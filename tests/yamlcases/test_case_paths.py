"""No file outside the folder of the case file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradcheck.names.registry import Entry
from gradcheck.yamlcases.load import CaseFile, load_cases
from tests.yamlcases.shelf import make_registry

SAID = (
    "data.path is outside the folder of the case file, and a case reads no file elsewhere; put "
    "the file beside the case, or let a dataset of a plugin find it"
)


def lines(path: str, weights_path: str | None = None, title: str = "") -> Any: ...


def load(tmp_path: Path, data: str) -> CaseFile:
    registry = make_registry()
    registry.add(Entry("dataset", "lines", lines, "shelf", "shelf.py:1"))
    file = tmp_path / "cases" / "deep" / "a.yaml"
    file.parent.mkdir(parents=True)
    case = f"{{model: mlp, args: {{sizes: [4, 2]}}, data: {{name: lines, {data}}}, loss: mse}}"
    file.write_text(f"schema: 1\ncases:\n  c: {case}\n", encoding="utf-8")
    return load_cases(file, registry, tmp_path)


@pytest.mark.parametrize("path", ["data.txt", "below/data.txt", "below/../data.txt", "./data.txt"])
def test_a_path_is_one_from_the_case_file(tmp_path: Path, path: str) -> None:
    loaded = load(tmp_path, f"path: {path}, weights_path: w.npz, title: ../title")
    assert loaded.errors == ()
    assert loaded.cases[0].data is not None
    args = loaded.cases[0].data.args
    assert Path(args["path"]) == tmp_path / "cases" / "deep" / path
    assert Path(args["weights_path"]) == tmp_path / "cases" / "deep" / "w.npz"
    assert args["title"] == "../title"


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "~/secret", "below/../../secret", '"a\\0b"']
)
def test_a_path_that_leads_out_is_an_error(tmp_path: Path, path: str) -> None:
    loaded = load(tmp_path, f"path: {path}")
    assert [str(e) for e in loaded.errors] == [f"cases/deep/a.yaml:3:68: {SAID}"]
    assert loaded.cases == ()


def test_a_link_that_leads_out_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    file = folder / "a.yaml"
    file.write_text(
        "schema: 1\ncases:\n  c:\n    model: mlp\n    args: {sizes: [4, 2]}\n    loss: mse\n"
        "    data: {name: lines, path: link.txt}\n"
    )
    registry = make_registry()
    registry.add(Entry("dataset", "lines", lines, "shelf", "shelf.py:1"))
    assert [e.message for e in load_cases(file, registry, tmp_path).errors] == [SAID]


def test_the_text_datasets_take_no_address_from_a_case() -> None:
    import inspect

    from gradcheck.names.load import load as load_plugins

    registry = load_plugins([Path("plugins")], entry_points=True)
    for name in ("shakespeare", "tinystories", "text_file"):
        taken = inspect.signature(registry.get("dataset", name).value).parameters
        assert not [p for p in taken if "url" in p]
