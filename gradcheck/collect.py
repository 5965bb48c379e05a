"""The nodes of a run: file -> case -> item, `cases/mlp.yaml::mlp_digits::overfit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.items import BadFileItem, CaseItem
from gradcheck.session import KEY

if TYPE_CHECKING:
    from gradcheck.case import Case
    from gradcheck.registry import Registry


class CaseFile(pytest.File):
    """A YAML file. Its valid cases run even when others in it are wrong."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        from gradcheck.casefile import load_cases

        session = self.config.stash[KEY]
        registry = session.registry_for(self)
        loaded = load_cases(self.path, registry, self.config.rootpath)
        modify = self.ihook.pytest_gradcheck_modify_case
        if loaded.errors:
            yield BadFileItem.from_parent(self, name="case-file", errors=loaded.errors)
        for case in loaded.cases:
            if modify.get_hookimpls():
                changed = modify(config=self.config, case=case)
                case = case if changed is None else changed
            yield CaseNode.from_parent(self, name=case.name, case=case, registry=registry)


class PluginFile(pytest.File):
    """A Python file of a plugin folder. Its ops with sample inputs are cases by themselves."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        from pathlib import Path

        from gradcheck.implicit import implicit_cases

        session = self.config.stash[KEY]
        registry = session.registry_for(self)
        for case in implicit_cases(registry):
            if Path(case.place.file).resolve() == self.path.resolve():
                yield CaseNode.from_parent(self, name=case.name, case=case, registry=registry)


class CaseNode(pytest.Collector):
    """A case: as many items as it has checks."""

    def __init__(self, *, case: Case, registry: Registry, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.registry = registry
        session = self.config.stash[KEY]
        self.case = session.with_settings(case)
        self.add_marker("gradcheck")
        self.bad_marks: list[str] = []
        for mark in self.case.marks:
            try:
                self.add_marker(mark)
            except pytest.fail.Exception:  # --strict-markers
                self.bad_marks.append(mark)

    def collect(self) -> Iterator[pytest.Item]:
        if self.bad_marks:
            place = self.case.place
            errors = [
                f"{place.file}:{place.line}:1: mark {mark!r} is not known to pytest; "
                "list it under `markers` in the ini file"
                for mark in self.bad_marks
            ]
            yield BadFileItem.from_parent(self, name="marks", errors=errors)
            return
        for check in self.case.checks:
            yield CaseItem.from_parent(self, name=check, case=self.case, registry=self.registry)
