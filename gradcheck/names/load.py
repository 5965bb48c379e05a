"""Loading plugins and asking them, one by one, for what they contribute.

Plugins come through three doors, always in this order: the built-in ones; the entry points, by
name, of group `gradcheck` and, where the bundled framework is in use, of `gradcheck.tinytorch`; the
files of plugin folders, by name. (Conftest files register through pytest's own hook, with a
`Register` of their own.) A file is loaded once, whichever door it comes through. What goes wrong
becomes one sentence with file and line in `registry.failures`, and only the cases that need what is
missing fail.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck import API_VERSION
from gradcheck.guard.loading import tolerated
from gradcheck.names import bundled
from gradcheck.names.hook import api_problem, ask
from gradcheck.names.registry import PluginInfo, Registry
from gradcheck.phrases import one_line
from gradcheck.source.line import short_path
from gradcheck.source.where import UNKNOWN, where_of, where_raised

ENTRY_POINT_GROUP = "gradcheck"
TINYTORCH_GROUP = "gradcheck.tinytorch"
"""Entry points of plugins that are nothing without the bundled framework: not loaded where it is
absent. A plugin that is of use without it asks `register.lacks`."""

FIRST_PARTY = "gradcheck.plugins."
FOLDER_PACKAGE = "gradcheck_folder_plugins"


class PluginError(Exception):
    """Under `strict`: every sentence about a plugin that went wrong, a line each."""


def load(
    folders: Iterable[Path] = (),
    *,
    entry_points: bool = True,
    objects: Iterable[tuple[str, Any]] = (),
    strict: bool = False,
    root: Path | None = None,
) -> Registry:
    """A registry filled by the built-in plugins, the entry points and the plugins in `folders`.

    objects: further plugins that are already there, (name, module or object with hooks). root: the
    user's project, whose modules the plugins import: it is put on the path of imports, as pytest
    does with the folder of a conftest file, and stays there, since a factory may import later.
    Raises PluginError under `strict` when anything went wrong.
    """
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    folders = [Path(folder) for folder in folders]
    nearer = {plugin_name(p): p for folder in folders for p in plugin_files(folder)}
    loader = _Loader(root)
    loader.builtin()
    if entry_points:
        points = list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))
        if bundled.NAME not in loader.registry.absent:
            points += importlib.metadata.entry_points(group=TINYTORCH_GROUP)
        for point in sorted(points, key=lambda p: p.name):
            if not replaced(point, nearer):
                loader.entry_point(point)
    for folder in folders:
        for path in plugin_files(folder):
            loader.file(path)
    for name, plugin in objects:
        loader.add(name, plugin, "object")
    for name, plugin in loader.plugins:
        ask(loader.registry, name, plugin)
    if strict and loader.registry.failures:
        raise PluginError("\n".join(loader.registry.failures))
    return loader.registry


class _Loader:
    """Loads modules, each file once."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.registry = Registry()
        self.plugins: list[tuple[str, Any]] = []
        self.seen: dict[Path, str] = {}

    def builtin(self) -> None:
        from gradcheck.names import builtin

        version = importlib.metadata.version("pytest-gradcheck")
        self.add("builtin", builtin, "builtin", version)
        reason = bundled.why_not()
        if reason is not None:
            self.registry.absent[bundled.NAME] = reason
            return
        try:
            from gradcheck.names import builtin_tinytorch
        except Exception as error:
            place = where_raised(error, _file_of(bundled.NAME))
            self.registry.fail(bundled.NAME, place, _import_problem(error))
        else:
            self.add(bundled.NAME, builtin_tinytorch, "builtin", version)

    def entry_point(self, point: importlib.metadata.EntryPoint) -> None:
        name, version = point.name, point.dist.version if point.dist else None
        with tolerated() as failed:
            module = point.load()
        for error in failed:
            place = where_raised(error, _file_of(point.module))
            if place == UNKNOWN:
                place = f"entry point {point.value} of {point.dist.name if point.dist else '?'}"
            self.note(name, "entry point", place)
            self.registry.fail(name, place, _import_problem(error))
            return
        self.add(name, module, "entry point", version)

    def file(self, path: Path) -> None:
        name, real = plugin_name(path), path.resolve()
        if real in self.seen:
            return
        with tolerated() as failed:
            module = import_file(path)
        for error in failed:
            self.note(name, "folder", short_path(path))
            problem = _import_problem(error, path.parent, self.root)
            self.registry.fail(name, where_raised(error, path), problem)
            return
        self.add(name, module, "folder")

    def note(self, name: str, door: str, source: str, version: str | None = None) -> PluginInfo:
        return self.registry.plugins.setdefault(name, PluginInfo(name, door, source, version))

    def add(self, name: str, plugin: Any, door: str, version: str | None = None) -> None:
        """Register a module (or whatever object an entry point names)."""
        file = getattr(plugin, "__file__", None)
        if file is not None:
            path = Path(file).resolve()
            if path in self.seen:
                return
            self.seen[path] = name
        source = short_path(file) if file is not None else where_of(plugin)
        taken = self.registry.plugins.get(name)
        if taken is not None:
            self.registry.failures.append(
                f"plugin {name} ({source}:1): a plugin of this name is already loaded from "
                f"{taken.source}; rename this one"
            )
            return
        info = self.note(name, door, source, version)
        info.api = getattr(plugin, "gradcheck_api", API_VERSION)
        problem = api_problem(plugin, file)
        if problem is not None:
            self.registry.fail(name, *problem)
            return
        self.plugins.append((name, plugin))


def _file_of(module: str) -> str | None:
    """The file that importing `module` runs, without running it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec.origin if spec is not None else None


def _import_problem(
    error: BaseException, folder: Path | None = None, root: Path | None = None
) -> str:
    """folder: that of the plugin. root: the user's project."""
    text = one_line(error)
    cause = f"{type(error).__name__}: {text}" if text else type(error).__name__
    advice = "fix this line and run again"
    if isinstance(error, ModuleNotFoundError) and error.name:
        advice = _missing_module(error.name, folder, root)
    return f"could not be imported: {cause}; {advice}"


def _missing_module(name: str, folder: Path | None, root: Path | None) -> str:
    """What to do about a module that is not found: `install it` only where it is not the user's."""
    top = name.partition(".")[0]
    if top != name and _file_of(top) is not None:
        return f"{top} is there and has no such part: correct the name"
    near = _near(top, folder, root)
    if near is None:
        return f"install {top}"
    file, at = near
    if at == folder:
        return (
            f"{file} lies among the plugins, which are no place to import from: move it to the "
            "project's root"
        )
    return f"{file} is there, but not on the path of imports: set PYTHONPATH={short_path(at)}"


def _near(top: str, folder: Path | None, root: Path | None) -> tuple[str, Path] | None:
    """A module `top` of the user's (as shown to people) and the folder that it is in."""
    places = [folder] if folder is not None else []
    if root is not None:
        places += [root, *sorted(p for p in root.glob("*/") if not p.name.startswith((".", "_")))]
    for place in places:
        for file in (place / f"{top}.py", place / top / "__init__.py"):
            if file.is_file():
                return short_path(file), place
    return None


def replaced(point: importlib.metadata.EntryPoint, nearer: Mapping[str, Path]) -> bool:
    """Whether a plugin folder has another file for this first-party plugin.

    Whoever changes a plugin in a copy of the project and runs the checks there means the file in
    front of them, not the one that was installed. Plugins of others that share a name are refused.
    """
    if not point.module.startswith(FIRST_PARTY):
        return False
    file = _file_of(point.module)
    own = nearer.get(point.name)
    return own is not None and file is not None and Path(file).resolve() != own.resolve()


def plugin_name(path: Path) -> str:
    """The stem of `name.py`, the folder of `name/__init__.py`."""
    return path.parent.name if path.name == "__init__.py" else path.stem


def plugin_files(folder: Path) -> list[Path]:
    """`name.py` and `name/__init__.py` in a plugins folder, in the order of their names.

    Files of tests (`test_*.py`, `conftest.py`) and names that begin with '_' are none.
    """
    if not folder.is_dir():
        return []
    found = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    plugins = [p for p in found if not plugin_name(p).startswith(("_", "test_", "conftest"))]
    return sorted((p for p in plugins if p.parent != folder or p.name != "__init__.py"), key=_order)


def _order(path: Path) -> str:
    return plugin_name(path)


def import_file(path: Path) -> ModuleType:
    """Import a plugin by its path, under a name of its own, so that no other package is hidden."""
    sys.modules.setdefault(FOLDER_PACKAGE, _package())
    name = f"{FOLDER_PACKAGE}.{plugin_name(path)}"
    spec = importlib.util.spec_from_file_location(
        name,
        path,
        submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None,
    )
    assert spec is not None
    assert spec.loader is not None
    for old in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        del sys.modules[old]  # of another folder, in an earlier run of this process
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package() -> ModuleType:
    """An empty package, the parent of what plugin folders hold: relative imports look it up."""
    package = ModuleType(FOLDER_PACKAGE, "Plugins that were loaded from a folder.")
    package.__path__ = []
    return package
