"""How a fault is planted: one place of the code is changed for a while, then put back."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from tinytorch import OPS

Array = NDArray[Any]
Planter = Callable[[], AbstractContextManager[Any]]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault, the case on which it shows, and what must be said about it.

    plant: returns the context manager. case: the keys of the case, as YAML. check, finding: which
    check must fail, and with which code. expect: fields of the finding (`op`, `parameter`) and
    what they must be, `message` and `line` (the text of the source line at `where`, or its file and
    function) for what they must contain. others: further codes of the same fault.
    """

    name: str
    plant: Planter
    case: str
    check: str
    finding: str
    expect: Mapping[str, str] = dataclasses.field(default_factory=dict)


@contextmanager
def rewritten(owner: Any, name: str, *changes: tuple[str, str]) -> Iterator[None]:
    """Function `name` of a module, class or op, with pieces of its source replaced.

    Raises LookupError where a piece is not in the source: then the source has changed, and the
    fault must be written again.
    """
    function = inspect.getattr_static(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    start = source.index("def ")
    skipped = source[:start].count("\n")  # decorators
    source = source[start:]
    for right, wrong in changes:
        if right not in source:
            raise LookupError(f"{right!r} is not in the source of {name}; plant another fault")
        source = source.replace(right, wrong)
    code = function.__code__
    lines = "\n" * (code.co_firstlineno - 1 + skipped)  # a traceback shows the line of the source
    scope: dict[str, Any] = {}
    exec(compile(lines + source, code.co_filename, "exec"), function.__globals__, scope)
    changed = scope[function.__name__]
    changed.__kwdefaults__ = function.__kwdefaults__
    with patch.object(owner, name, changed):
        yield


def in_op(name: str, *changes: tuple[str, str]) -> Planter:
    """A fault in the source of op `name`."""
    return lambda: rewritten(OPS[name], "fn", *changes)


def in_function(owner: Any, name: str, *changes: tuple[str, str]) -> Planter:
    """A fault in a function of a module, or in a method of a class."""
    return lambda: rewritten(owner, name, *changes)


def replaced(owner: Any, name: str, value: Any) -> Planter:
    """Another thing in the place of `owner.name`."""
    return lambda: patch.object(owner, name, value)


def planted(
    name: str,
    owner: Any,
    method: str,
    value: Any,
    case: str,
    check: str,
    finding: str,
    **expect: str,
) -> Fault:
    """The fault of another `value` in the place of `owner.method`."""
    return Fault(name, replaced(owner, method, value), case, check, finding, expect)


def both(*planters: Planter) -> Planter:
    """Several places changed at once."""

    @contextmanager
    def plant() -> Iterator[None]:
        with ExitStack() as stack:
            for planter in planters:
                stack.enter_context(planter())
            yield

    return plant


def spoilt(op: str, spoil: Callable[..., Any]) -> Planter:
    """Every cotangent that the pullback of `op` gives goes through `spoil(part, g, result)`."""

    def change(pull: Callable[[Array], Any], y: Array) -> Callable[[Array], Any]:
        def pullback(g: Array) -> Any:
            parts = pull(g)
            if isinstance(parts, tuple):
                return tuple(None if p is None else spoil(np.asarray(p), g, y) for p in parts)
            return spoil(np.asarray(parts), g, y)

        return pullback

    def make(right: Callable[..., Any]) -> Callable[..., Any]:
        def fn(*args: Any, **kwargs: Any) -> Any:
            y, pullback = right(*args, **kwargs)
            if isinstance(pullback, tuple):
                return y, tuple(f and change(f, y) for f in pullback)
            return y, change(pullback, y)

        return fn

    return lambda: patch.object(OPS[op], "fn", make(OPS[op].fn))


def fed(op: str, feed: Callable[[Array], Array]) -> Planter:
    """The pullback of `op` gets `feed(g)` instead of its cotangent g."""

    def change(pull: Callable[[Array], Any]) -> Callable[[Array], Any]:
        return lambda g: pull(feed(g))

    def make(right: Callable[..., Any]) -> Callable[..., Any]:
        def fn(*args: Any, **kwargs: Any) -> Any:
            y, pullback = right(*args, **kwargs)
            if isinstance(pullback, tuple):
                return y, tuple(f and change(f) for f in pullback)
            return y, change(pullback)

        return fn

    return lambda: patch.object(OPS[op], "fn", make(OPS[op].fn))
