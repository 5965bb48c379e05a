"""Loading plugins and asking them, one by one, for what they contribute."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from gradcheck import hookspecs
from gradcheck.registry import KINDS, SHARED, Entry, Registry

ENTRY_POINT_GROUP = "gradcheck"
HOOK_OF_KIND = {kind: f"gradcheck_{kind}s" for kind in KINDS} | {"loss": "gradcheck_losses"}
HOOK_OF_KIND["check"] = "gradcheck_checks"


def load(folders: Iterable[Path] = (), *, entry_points: bool = True) -> Registry:
    """A registry filled by the built-in plugins, the entry points and the plugins in `folders`.

    Each file is loaded once, whichever door it comes through. What fails is noted in
    `registry.failures` with its file, and only cases that need it fail.
    """
    registry = Registry()
    manager = pluggy.PluginManager("gradcheck")
    manager.add_hookspecs(hookspecs)
    seen: set[Path] = set()

    def add(name: str, module: ModuleType) -> None:
        file = getattr(module, "__file__", None)
        if file is not None:
            path = Path(file).resolve()
            if path in seen:
                return
            seen.add(path)
        manager.register(module, name)

    from gradcheck import builtin

    add("builtin", builtin)
    if entry_points:
        for point in sorted(
            importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name
        ):
            try:
                add(point.name, point.load())
            except Exception as error:
                registry.failures.append(f"plugin {point.name} could not be loaded: {error}")
    for folder in folders:
        for path in plugin_files(folder):
            if path.resolve() in seen:
                continue
            try:
                add(
                    path.stem if path.name != "__init__.py" else path.parent.name, import_file(path)
                )
            except Exception as error:
                registry.failures.append(f"plugin {path} could not be loaded: {error}")
    collect(manager, registry)
    return registry


def plugin_files(folder: Path) -> list[Path]:
    """`name.py` and `name/__init__.py` in a plugins folder, in the order of their names."""
    if not folder.is_dir():
        return []
    files = [p for p in folder.glob("*.py") if not p.name.startswith("_")]
    packages = [p for p in folder.glob("*/__init__.py") if not p.parent.name.startswith("_")]
    return sorted(
        files + packages, key=lambda p: p.stem if p.name != "__init__.py" else p.parent.name
    )


def import_file(path: Path) -> ModuleType:
    """Import a plugin by its path, under a name of its own, so that no other package is hidden."""
    stem = path.stem if path.name != "__init__.py" else path.parent.name
    name = f"gradcheck_folder_plugins.{stem}"
    spec = importlib.util.spec_from_file_location(
        name,
        path,
        submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None,
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def collect(manager: pluggy.PluginManager, registry: Registry) -> None:
    """Call every hook of every plugin with a `register` that knows whom it serves."""
    for kind, hook_name in HOOK_OF_KIND.items():
        for implementation in reversed(getattr(manager.hook, hook_name).get_hookimpls()):
            register = registrar(registry, kind, implementation.plugin_name)
            try:
                implementation.function(register)
            except Exception as error:
                registry.failures.append(
                    f"plugin {implementation.plugin_name}: {hook_name} "
                    f"({where_of(implementation.function)}) failed: {error}"
                )


def registrar(registry: Registry, kind: str, plugin: str) -> Callable[..., None]:
    """The `register` that a hook of `plugin` is called with."""

    def register(name: str, value: Any, *, framework: str = "tinytorch", **extra: Any) -> None:
        owner = None if kind in SHARED else framework
        registry.add(Entry(kind, name, value, plugin, where_of(value), owner, extra))

    return register


def where_of(value: Any) -> str:
    """'file:line' of a function or class; the type's where the thing itself has none."""
    value = inspect.unwrap(value) if callable(value) else type(value)
    try:
        return f"{inspect.getsourcefile(value)}:{inspect.getsourcelines(value)[1]}"
    except (TypeError, OSError):
        return "<unknown>"
