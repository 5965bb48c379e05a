"""The one hook of a plugin, `gradcheck_register(register)`: found, looked at and called.

What is wrong with it becomes one sentence with file and line, and the other plugins still work.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gradcheck import API_VERSION, hookimpl
from gradcheck.guard.loading import tolerated
from gradcheck.names.register import Register
from gradcheck.names.registry import KINDS, Registry
from gradcheck.phrases import one_line
from gradcheck.source.line import Line
from gradcheck.source.where import UNKNOWN, line_matching, where_of, where_raised

OLDEST_API = 1
"""The oldest plugin API that still works. An API that is to go is first listed here as deprecated
for one release, with the sentence that says what to use instead."""

HOOK = "gradcheck_register"
PREFIX = "gradcheck_"
NOT_HOOKS = ("gradcheck_api",)
MARK = f"{hookimpl.project_name}_impl"
"""The attribute that `@hookimpl` sets on a function."""

FORMER = {f"{PREFIX}{kind}s": kind for kind in KINDS} | {f"{PREFIX}losses": "loss"}
"""Hooks of versions that were never released -> the method that took their place."""


def ask(registry: Registry, name: str, plugin: Any) -> None:
    """Call the hook of `plugin` with a `Register` of its own."""
    function = hook_of(registry, name, plugin)
    if function is None:
        return
    with tolerated() as failed:
        function(Register(registry, name))
    for error in failed:
        place = where_raised(error, getattr(plugin, "__file__", None))
        registry.fail(
            name,
            place if place != UNKNOWN else where_of(function),
            f"{HOOK} raised {type(error).__name__}: {one_line(error)}; "
            "fix this line; what the hook registered before it is kept",
        )


def hook_of(registry: Registry, name: str, plugin: Any) -> Callable[[Register], None] | None:
    """The plugin's hook if there is a valid one. Every function that should be one is reported."""
    former: dict[str, str] = {}
    found = None
    for attribute in dir(plugin):
        function = getattr(plugin, attribute, None)
        if attribute in NOT_HOOKS or not inspect.isroutine(function):
            continue
        if not (attribute.startswith(PREFIX) or hasattr(function, MARK)):
            continue
        if attribute in FORMER:
            former[attribute] = where_of(function)
            continue
        problem = problem_with_hook(attribute, function)
        if problem is not None:
            registry.fail(name, where_of(function), problem)
        else:
            found = function
    if former:
        calls = ", ".join(f"register.{FORMER[hook]}(name, ...)" for hook in former)
        registry.fail(
            name,
            next(iter(former.values())),
            f"{' and '.join(former)} {'is' if len(former) == 1 else 'are'} not called any more; "
            f"write one def {HOOK}(register) that calls {calls}",
        )
    return found


def problem_with_hook(name: str, function: Any) -> str | None:
    """A clause on what is wrong with a function that should be the hook; None if it is valid."""
    if name != HOOK:
        return f"there is no hook {name!r}; did you mean {HOOK!r}?"
    if not hasattr(function, MARK):
        return (
            f"{HOOK} is not marked, so nothing calls it; put @hookimpl above it "
            "(from gradcheck import hookimpl)"
        )
    if inspect.isgeneratorfunction(function):
        return f"{HOOK} is a generator; make it a plain function that calls register.model(...)"
    parameters = list(inspect.signature(function).parameters)
    if parameters != ["register"]:
        return (
            f"{HOOK}({', '.join(parameters)}) has the wrong signature; "
            f"write def {HOOK}(register): ..."
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
