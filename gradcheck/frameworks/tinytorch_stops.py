"""Holding what leaves the graph of tinytorch: the public ways out of a tensor go through a hook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import tinytorch
from gradcheck.frameworks.protocol import Through
from tinytorch.grad_mode import state
from tinytorch.operation import Op
from tinytorch.tensor import Tensor

_PACKAGE = os.path.dirname(os.path.abspath(tinytorch.__file__)) + os.sep
_SLOT: Any = Tensor.__dict__["_data"]


@contextmanager
def holding(through: Through) -> Iterator[None]:
    """See `HoldsStops`. Not reentrant: what gradcheck itself calls meanwhile is not held."""
    ways: dict[tuple[Any, str], Any] = {
        (Tensor, "data"): property(_data(through), _SLOT.__set__),
        (Tensor, "detach"): _detach(Tensor.detach, through),
        (Tensor, "item"): _number(Tensor.item, through),
        (Tensor, "tolist"): _number(Tensor.tolist, through),
        (Op, "__call__"): _call(Op.__call__, through),
    }
    before = {(owner, name): owner.__dict__[name] for owner, name in ways}
    try:
        for (owner, name), way in ways.items():
            setattr(owner, name, way)
        yield
    finally:
        for (owner, name), way in before.items():
            setattr(owner, name, way)


def _leaves(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor._data.dtype.kind == "f"


def _data(through: Through) -> Callable[[Tensor], Any]:
    def get(tensor: Tensor) -> Any:
        values = _SLOT.__get__(tensor)
        return through("rebuilt", values, _frame()) if _leaves(tensor) else values

    return get


def _detach(original: Callable[..., Tensor], through: Through) -> Callable[[Tensor], Tensor]:
    def detach(tensor: Tensor) -> Tensor:
        result = original(tensor)
        if _leaves(tensor):
            result._data = through("detach", result._data, _frame())
        return result

    return detach


def _number(original: Callable[..., Any], through: Through) -> Callable[[Tensor], Any]:
    def number(tensor: Tensor) -> Any:
        if not _leaves(tensor):
            return original(tensor)
        kind = "item" if tensor._data.size == 1 else "rebuilt"
        return original(Tensor(through(kind, tensor._data, _frame())))

    return number


def _call(original: Callable[..., Tensor], through: Through) -> Callable[..., Tensor]:
    def __call__(op: Op, *args: Any, **kwargs: Any) -> Tensor:  # noqa: N807
        __tracebackhide__ = True  # the line that a graph shows for an op is the user's
        result = original(op, *args, **kwargs)
        if not state.recording and result._data.dtype.kind == "f":
            given = (*args, *kwargs.values())
            if any(isinstance(value, Tensor) and _leaves(value) for value in given):
                result._data = through("no_grad", result._data, _frame())
        return result

    return __call__


def _frame() -> FrameType | None:
    """The innermost frame outside tinytorch and this module."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _hidden(frame.f_code):
        frame = frame.f_back
    return frame


def _hidden(code: CodeType) -> bool:
    """Code that is nobody's own line: tinytorch's, this module's, and go-betweens."""
    return (
        code.co_filename == __file__
        or "__tracebackhide__" in code.co_varnames
        or os.path.abspath(code.co_filename).startswith(_PACKAGE)
    )
