"""The test kit for authors of plugins.

    pytest_plugins = ["gradcheck.testing"]          # in conftest.py

    def test_my_op(gradcheck_kit):
        gradcheck_kit.register(my_plugin)           # a module or an object with the hook
        results = gradcheck_kit.run_case('''
            op: my_op
            inputs: {x: [2, 3]}
        ''')
        assert results["gradient"].outcome == "passed"

Every test gets a kit of its own, with a fresh registry: no test sees what another registered.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gradcheck.names.registry import Registry
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case


class Kit:
    """Plugins and a registry of their own, and cases run on it.

    folders: plugin folders to load. entry_points: whether installed plugins take part.
    """

    def __init__(self, folders: Sequence[Path] = (), *, entry_points: bool = True) -> None:
        self._folders = list(folders)
        self._entry_points = entry_points
        self._objects: list[tuple[str, Any]] = []
        self._registry: Registry | None = None

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin: a module, or any object with the hook `gradcheck_register`."""
        own = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        self._objects.append((own.rpartition(".")[2], plugin))
        self._registry = None

    @property
    def registry(self) -> Registry:
        """What the plugins registered; built again after `register`."""
        if self._registry is None:
            from gradcheck.names import load as plugins

            self._registry = plugins.load(
                self._folders,
                entry_points=self._entry_points,
                objects=self._objects,
                root=Path.cwd() if self._folders else None,
            )
        return self._registry

    @property
    def failures(self) -> list[str]:
        """One sentence for each thing that went wrong while plugins were loaded."""
        return self.registry.failures

    def case(self, text: str) -> Case:
        """The case that YAML text describes: a whole file with one case, or the keys of a case.

        Raises AssertionError with every error of the text.
        """
        from gradcheck.yamlcases.load import load_text

        text = textwrap.dedent(text).strip("\n")
        if not any(line.startswith("cases:") for line in text.splitlines()):
            text = "schema: 1\ncases:\n  case:\n" + textwrap.indent(text, "    ")
        loaded = load_text(text, self.registry)
        if loaded.errors:
            raise AssertionError("\n".join(str(e) for e in loaded.errors))
        if len(loaded.cases) != 1:
            raise AssertionError(f"one case is expected, the text has {len(loaded.cases)}")
        return loaded.cases[0]

    def run_case(self, text: str, *, seed: int | None = None) -> dict[str, Result]:
        """Run every check of the case in `text` (see `case`): name of the check -> its result."""
        from gradcheck.engine import run_check

        case = self.case(text)
        return {name: run_check(case, name, self.registry, seed=seed) for name in case.checks}


def run_case(text: str, *plugins: Any, seed: int | None = None) -> dict[str, Result]:
    """Run one case with the given plugins beside the installed ones, without a fixture."""
    kit = Kit()
    for plugin in plugins:
        kit.register(plugin)
    return kit.run_case(text, seed=seed)


@pytest.fixture
def gradcheck_kit() -> Kit:
    """A `Kit` with the installed plugins and those of `./plugins`."""
    return Kit([Path("plugins")])
