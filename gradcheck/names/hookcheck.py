"""Looking at a plugin's hooks before pluggy does: a wrong one is named, the others still work."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

import pluggy

from gradcheck import API_VERSION
from gradcheck.names import hookspecs
from gradcheck.source.line import Line
from gradcheck.source.where import line_matching, where_of

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry

OLDEST_API = 1
"""The oldest plugin API that still works. An API that is to go is first listed here as deprecated
for one release, with the sentence that says what to use instead."""

PREFIX = "gradcheck_"
HOOKS = tuple(n for n in vars(hookspecs) if n.startswith(PREFIX))
NOT_HOOKS = ("gradcheck_api",)


class Manager(pluggy.PluginManager):
    """A plugin manager that notes a wrong hook in the registry and leaves it out."""

    def __init__(self, registry: Registry) -> None:
        super().__init__("gradcheck")
        self.registry = registry
        self._registering = ""

    def register(self, plugin: Any, name: str | None = None) -> str | None:
        self._registering = name or ""
        return super().register(plugin, name)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        function = getattr(plugin, name, None)
        if name in NOT_HOOKS or not inspect.isroutine(function):
            return None
        options = super().parse_hookimpl_opts(plugin, name)
        problem = hook_problem(name, function, options)
        if problem is None:
            return options
        if problem:
            self.registry.fail(self._registering, where_of(function), problem)
        return None


def hook_problem(name: str, function: Any, options: Any) -> str | None:
    """A clause on what is wrong with a hook; '' for what is no hook; None when it is well."""
    marked = options is not None
    if not marked and not name.startswith(PREFIX):
        return ""
    hook = (options or {}).get("specname") or name
    if hook not in HOOKS:
        close = difflib.get_close_matches(hook, HOOKS, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(HOOKS)}"
        return f"there is no hook {hook!r}; {hint}"
    if not marked:
        return (
            f"{hook} is not marked, so nothing calls it; put @hookimpl above it "
            "(from gradcheck import hookimpl)"
        )
    if inspect.isgeneratorfunction(function):
        return f"{hook} is a generator; make it a plain function that calls register(name, value)"
    parameters = list(inspect.signature(function).parameters)
    if parameters != ["register"]:
        return (
            f"{hook}({', '.join(parameters)}) has the wrong signature; "
            f"write def {hook}(register): ..."
        )
    return None


def api_problem(plugin: Any, file: str | None) -> tuple[str, str] | None:
    """(place, clause) when the plugin asks for an API that this gradcheck does not have."""
    asked = getattr(plugin, "gradcheck_api", None)
    if asked is None:
        return None
    place = where_of(plugin)
    if file is not None:
        line = line_matching(file, r"gradcheck_api\b") or 1
        place = str(Line(file, line))
    if not isinstance(asked, int) or isinstance(asked, bool):
        return place, (
            f"gradcheck_api must be a whole number, got {asked!r}; write "
            f"gradcheck_api = {API_VERSION}"
        )
    if asked > API_VERSION:
        return place, (
            f"it asks for plugin API {asked}, this gradcheck has {API_VERSION}; "
            "install a newer pytest-gradcheck"
        )
    if asked < OLDEST_API:
        return place, (
            f"it asks for plugin API {asked}, this gradcheck has {OLDEST_API} to {API_VERSION}; "
            "install a newer version of the plugin"
        )
    return None
