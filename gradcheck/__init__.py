"""gradcheck: finds wrong gradients, cut graphs and training loops that cannot learn.

Importing this package imports neither numpy, yaml nor pydantic: an installed but unused pytest
plugin must cost nothing. The names below are loaded when they are first asked for.
"""

from __future__ import annotations

from typing import Any

import pluggy

hookimpl = pluggy.HookimplMarker("gradcheck")
"""Marks a function of a plugin as the implementation of a gradcheck hook (see `Register`)."""

API_VERSION = 1
"""The number of the plugin API. A plugin may set `gradcheck_api = 1`."""

_LAZY = {
    "Finding": "gradcheck.result",
    "Result": "gradcheck.result",
    "Subject": "gradcheck.probe.subject",
    "Register": "gradcheck.names.register",
    "Options": "gradcheck.checks.base",
    "Shards": "gradcheck.checks.base",
    "check": "gradcheck.engine",
    "check_gradients": "gradcheck.api.functions",
}

__all__ = ["API_VERSION", "hookimpl", *_LAZY]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
