"""What is recorded of one op call, and the line of user code that made it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from tinytorch.inplace import Stamp

if TYPE_CHECKING:
    from tinytorch.operation import Op

Array = NDArray[Any]
Pullback = Callable[[Array], Any] | tuple[Callable[[Array], Any] | None, ...]


class Where(NamedTuple):
    """A line of user code: the innermost one outside tinytorch."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Node:
    """One recorded op call: everything needed to pull a cotangent back, or to run it again.

    inputs: one entry per array parameter of the op: Tensor, ndarray, Python number or None.
    attrs: the other arguments by name. needs: which inputs get a gradient.
    where: the line of user code that made the call. pullback is None once the graph was freed.
    """

    __slots__ = ("attrs", "inputs", "needs", "op", "pullback", "shape", "stamps", "where")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Any, ...],
        attrs: dict[str, Any],
        pullback: Pullback,
        needs: tuple[bool, ...],
        shape: tuple[int, ...],
        where: Where,
        stamps: list[Stamp],
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.pullback: Pullback | None = pullback
        self.needs = needs
        self.shape = shape
        self.where = where
        self.stamps = stamps

    def __repr__(self) -> str:
        return f"Node({self.op.name} at {self.where})"


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_inside: dict[CodeType, bool] = {}


def user_line() -> Where:
    """The innermost line outside tinytorch of the call in progress."""
    frame = sys._getframe(1)
    while True:
        code = frame.f_code
        inside = _inside.get(code)
        if inside is None:
            # `__tracebackhide__`, pytest's word, marks a go-between that is nobody's own line
            inside = _inside[code] = (
                os.path.abspath(code.co_filename).startswith(_PACKAGE)
                or "__tracebackhide__" in code.co_varnames
            )
        if not inside or frame.f_back is None:
            return Where(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
