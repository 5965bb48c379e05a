"""Calling a registered op with the named inputs of a case."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def call_op(op: Callable[..., Any], inputs: Mapping[str, Any], args: Mapping[str, Any]) -> Any:
    """`op(**inputs, **args)` where the op knows these names, else `op(*inputs, **args)`."""
    try:
        parameters = inspect.signature(op).parameters
    except (TypeError, ValueError):  # built-in functions often have no signature
        return op(*inputs.values(), **args)
    by_name = {
        n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    if by_name.issuperset(inputs):
        return op(**inputs, **args)
    return op(*inputs.values(), **args)
