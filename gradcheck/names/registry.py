"""The things that plugins registered, by name. Each run makes one registry and passes it along."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck.phrases import did_you_mean

KINDS = (
    "op",
    "model",
    "loss",
    "optimizer",
    "step",
    "dataset",
    "check",
    "framework",
    "fault",
)
SHARED = ("check", "framework", "dataset", "fault")
"""Kinds whose things belong to no framework."""

FRAMEWORK_METHODS = (
    "manual_seed",
    "leaf",
    "named_parameters",
    "optimized",
    "cast",
    "train_mode",
    "get",
    "set",
    "trainable",
    "forward",
    "value",
    "backward",
    "grad",
    "zero_grad",
    "call",
)
"""The methods of `gradcheck.Framework`, listed here so that numpy need not be imported."""

SHOWN_FAILURES = 2
SHOWN_NAMES = 12

SO = "; so "
"""Between what went wrong with a plugin and the name that is missing for that reason."""

NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Entry:
    """One registered thing. where: 'file:line' of the thing or of its plugin."""

    kind: str
    name: str
    value: Any
    plugin: str
    where: str
    framework: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class PluginInfo:
    """What listings say about one plugin.

    door: 'builtin', 'entry point', 'folder' or 'conftest'. source: file, as shown to people.
    version: of the distribution that brought it. api: the number it asks for.
    """

    name: str
    door: str
    source: str
    version: str | None = None
    api: int | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The file itself; '' where it cannot be read."""
        try:
            return Path(self.source).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return ""


class UnknownName(LookupError):
    """There is no such name. The message lists the known names or suggests one."""


class Registry:
    """Every registered thing by kind, framework and name."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str | None, str], Entry] = {}
        self._framework_instances: dict[str, Any] = {}
        self.failures: list[str] = []
        """Sentences about plugins that could not be loaded, shown where a name is missing."""
        self.plugins: dict[str, PluginInfo] = {}
        """The plugins that were found, in the order of loading."""
        self.absent: dict[str, str] = {}
        """Optional frameworks that are not installed, each with the reason; not a failure."""

    def add(self, entry: Entry) -> None:
        """Enter a thing. Raises ValueError if its name is malformed or already taken."""
        if not NAME.fullmatch(entry.name):
            raise ValueError(
                f"{entry.kind} name {entry.name!r} can only have letters, digits, '_', '.' and "
                "'-': it becomes part of test ids"
            )
        key = (entry.kind, entry.framework, entry.name)
        taken = self._entries.get(key)
        if taken is not None:
            raise ValueError(
                f"{entry.kind} {entry.name!r} ({entry.where}) is already registered "
                f"by plugin {taken.plugin} ({taken.where}); choose another name"
            )
        self._entries[key] = entry

    def fail(self, plugin: str, where: str, message: str) -> None:
        """Note what is wrong with `plugin` at `where` ('file:line'). Nothing else is lost."""
        sentence = f"plugin {plugin} ({where}): {message}"
        self.failures.append(sentence)
        if plugin in self.plugins:
            self.plugins[plugin].failures.append(sentence)

    def entries(self, kind: str, framework: str | None = None) -> Iterator[Entry]:
        """All of a kind, in the order of registration; of one framework where given."""
        wanted = None if kind in SHARED else framework
        for entry in self._entries.values():
            if entry.kind == kind and (wanted is None or entry.framework == wanted):
                yield entry

    def names(self, kind: str, framework: str | None = None) -> list[str]:
        return sorted({e.name for e in self.entries(kind, framework)})

    def get(self, kind: str, name: str, framework: str | None = None) -> Entry:
        """Raises UnknownName with 'did you mean'."""
        entry = self._entries.get((kind, None if kind in SHARED else framework, name))
        if entry is None:
            raise UnknownName(self.unknown(kind, name, framework))
        return entry

    def unknown(self, kind: str, name: str, framework: str | None = None) -> str:
        """The sentence for a name that is not registered."""
        names = self.names(kind, framework)
        of = f" of framework {framework}" if framework and kind not in SHARED else ""
        cause = self._cause(name)
        if cause is not None:
            return f"{cause}{SO}no {kind}{of} is called {name!r}"
        known = ", ".join(names[:SHOWN_NAMES]) + (" ..." if len(names) > SHOWN_NAMES else "")
        hint = did_you_mean(name, names, f"there are: {known}" if names else "none is registered")
        # A plugin that has the name of the missing framework or thing is the likeliest cause.
        told = sorted(
            self.failures,
            key=lambda f: not f.startswith((f"plugin {framework} ", f"plugin {name} ")),
        )
        shown = [f"; {f}" for f in told[:SHOWN_FAILURES]]
        if framework in self.absent and framework not in self.names("framework"):
            shown.insert(0, f"; {self.absent[framework]}")
        more = len(told) - SHOWN_FAILURES
        if more > 0:
            shown.append(f"; {more} more: python -m gradcheck plugins")
        return f"no {kind}{of} is called {name!r}; {hint}{''.join(shown)}"

    def _cause(self, name: str) -> str | None:
        """What went wrong with a plugin whose file has `name` in quotes: it would have it."""
        for info in self.plugins.values():
            if info.failures and (f'"{name}"' in info.text or f"'{name}'" in info.text):
                return info.failures[0]
        return None

    def framework(self, name: str) -> Any:
        """The adapter `name`, made on first use."""
        if name not in self._framework_instances:
            entry = self.get("framework", name)
            try:
                made = entry.value()
            except Exception as error:
                raise UnknownName(
                    f"framework {name!r} of plugin {entry.plugin} ({entry.where}) cannot be used: "
                    f"{type(error).__name__}: {error}"
                ) from error
            missing = [m for m in FRAMEWORK_METHODS if not callable(getattr(made, m, None))]
            if missing:
                raise UnknownName(
                    f"framework {name!r} of plugin {entry.plugin} ({entry.where}) has no method "
                    f"{', '.join(missing)}; gradcheck.Framework says what each must do"
                )
            self._framework_instances[name] = made
        return self._framework_instances[name]
