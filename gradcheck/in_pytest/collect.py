"""The nodes of a run: file -> case -> item, `cases/mlp.yaml::mlp_digits::overfit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.in_pytest.base import KEY
from gradcheck.in_pytest.items import BadFileItem, CaseItem
from gradcheck.source.where import where_of

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry
    from gradcheck.yamlcases.case import Case


class FileNode(pytest.File):
    """A file of cases. All its items carry the mark `gradcheck`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_marker("gradcheck")

    def nodes_of(
        self, cases: Iterable[Case], registry: Registry
    ) -> Iterator[pytest.Item | pytest.Collector]:
        """The cases, as the conftest files above them have them.

        pytest takes three times as long to collect a case and then its items as to be given the
        items at once. Their ids and parents are the same, but pytest finds `file::case` on the
        command line only among the nodes that a file gives.
        """
        one_by_one = self.config.stash[KEY].names_nodes
        modify = self.ihook.pytest_gradcheck_modify_case
        for case in cases:
            if modify.get_hookimpls():
                try:
                    changed = modify(config=self.config, case=case)
                except Exception as error:
                    yield self.not_modified(case, f"raised {type(error).__name__}: {error}")
                    continue
                if changed is not None and not isinstance(changed, type(case)):
                    kind = type(changed).__name__
                    yield self.not_modified(case, f"returned a {kind}, not a Case or None")
                    continue
                case = case if changed is None else changed
            node = CaseNode.from_parent(self, name=case.name, case=case, registry=registry)
            if one_by_one:
                yield node
            else:
                yield from node.collect()

    def not_modified(self, case: Case, said: str) -> BadFileItem:
        """The error of a case that the hook of a conftest file broke; the others still run."""
        hooks = self.ihook.pytest_gradcheck_modify_case.get_hookimpls()
        place = where_of(hooks[-1].function)
        sentence = f"{place}: pytest_gradcheck_modify_case {said} for case {case.name}; correct it"
        errors = [sentence]
        return BadFileItem.from_parent(self, name=case.name, errors=errors)


class CaseFileNode(FileNode):
    """A YAML file. Its valid cases run even when others in it are wrong."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        from gradcheck.yamlcases.load import load_cases

        session = self.config.stash[KEY]
        registry = session.registry_for(self)
        loaded = load_cases(self.path, registry, self.config.rootpath)
        if loaded.errors:
            yield BadFileItem.from_parent(self, name="case-file", errors=loaded.errors)
        yield from self.nodes_of(loaded.cases, registry)


class PluginFileNode(FileNode):
    """A Python file of a plugin folder. Its ops with sample inputs are cases by themselves."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        from pathlib import Path

        from gradcheck.yamlcases.implicit import implicit_cases

        session = self.config.stash[KEY]
        registry = session.registry_for(self)
        path = self.path.resolve()
        own = [c for c in implicit_cases(registry) if Path(c.place.file).resolve() == path]
        yield from self.nodes_of(own, registry)


class CaseNode(pytest.Collector):
    """A case: an item for each of its checks."""

    def __init__(self, *, case: Case, registry: Registry, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.registry = registry
        session = self.config.stash[KEY]
        self.case = session.with_settings(case)
        self.bad_marks: list[str] = []
        for mark in self.case.marks:
            try:
                self.add_marker(mark)
            except pytest.fail.Exception:  # --strict-markers
                self.bad_marks.append(mark)

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        if self.bad_marks:
            place = self.case.place
            errors = [
                f"{place.file}:{place.line}:1: mark {mark!r} is not known to pytest; "
                "list it under `markers` in the ini file"
                for mark in self.bad_marks
            ]
            yield BadFileItem.from_parent(self, name="marks", errors=errors)
            return
        given = {"case": self.case, "registry": self.registry}
        for name in self.case.checks:
            yield CaseItem.from_parent(self, name=name, **given)
