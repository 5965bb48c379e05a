"""gradcheck: finds wrong gradients, cut graphs and training loops that cannot learn.

The names below are the public interface. Importing this package imports neither numpy, yaml nor
pydantic: an installed but unused pytest plugin must cost nothing. So a name is loaded when it is
first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from gradcheck.api.asserting import assert_gradients, assert_same_gradients, assert_trains
    from gradcheck.api.functions import check_gradients
    from gradcheck.api.precision import check_precision
    from gradcheck.checks.base import Check, Options
    from gradcheck.engine import check
    from gradcheck.frameworks.bridge import positions
    from gradcheck.frameworks.calling import call_op
    from gradcheck.frameworks.protocol import (
        Array,
        Cut,
        Framework,
        MemoryFault,
        MetFunction,
        OpCall,
        Precision,
        TrainingListener,
    )
    from gradcheck.frameworks.shadow import Edge, Made, ShadowGraph
    from gradcheck.frameworks.walk import walk_leaves
    from gradcheck.names.register import Register
    from gradcheck.probe.batches import Batch, collate
    from gradcheck.probe.modelcall import own_loss
    from gradcheck.probe.subject import Subject
    from gradcheck.result import Finding, Result
    from gradcheck.source.line import Line
    from gradcheck.source.where import defined_at
    from gradcheck.yamlcases.case import Case

hookimpl = pluggy.HookimplMarker("gradcheck")
"""Marks a plugin's function `gradcheck_register(register)` as its hook (see `Register`)."""

API_VERSION = 1
"""The number of the plugin API. A plugin may set `gradcheck_api = 1`."""

__all__ = [
    "API_VERSION",
    "Array",
    "Batch",
    "Case",
    "Check",
    "Cut",
    "Edge",
    "Finding",
    "Framework",
    "Line",
    "Made",
    "MemoryFault",
    "MetFunction",
    "OpCall",
    "Options",
    "Precision",
    "Register",
    "Result",
    "ShadowGraph",
    "Subject",
    "TrainingListener",
    "assert_gradients",
    "assert_same_gradients",
    "assert_trains",
    "call_op",
    "check",
    "check_gradients",
    "check_precision",
    "collate",
    "defined_at",
    "hookimpl",
    "own_loss",
    "positions",
    "walk_leaves",
]

_LOADED_FROM = {
    "Array": "frameworks.protocol",
    "Batch": "probe.batches",
    "Case": "yamlcases.case",
    "Check": "checks.base",
    "Cut": "frameworks.protocol",
    "Edge": "frameworks.shadow",
    "Finding": "result",
    "Framework": "frameworks.protocol",
    "Line": "source.line",
    "MetFunction": "frameworks.protocol",
    "Made": "frameworks.shadow",
    "MemoryFault": "frameworks.protocol",
    "OpCall": "frameworks.protocol",
    "Options": "checks.base",
    "Precision": "frameworks.protocol",
    "Register": "names.register",
    "Result": "result",
    "ShadowGraph": "frameworks.shadow",
    "Subject": "probe.subject",
    "TrainingListener": "frameworks.protocol",
    "assert_gradients": "api.asserting",
    "assert_same_gradients": "api.asserting",
    "assert_trains": "api.asserting",
    "call_op": "frameworks.calling",
    "check": "engine",
    "check_gradients": "api.functions",
    "check_precision": "api.precision",
    "collate": "probe.batches",
    "defined_at": "source.where",
    "own_loss": "probe.modelcall",
    "positions": "frameworks.bridge",
    "walk_leaves": "frameworks.walk",
}
"""Where each name is, as the imports above say it to type checkers."""


def __getattr__(name: str) -> Any:
    import importlib

    if name in _LOADED_FROM:
        return getattr(importlib.import_module(f"gradcheck.{_LOADED_FROM[name]}"), name)
    raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
