"""An op is one function: arrays in, the result and its pullback out.

    @op
    def tanh(x):
        y = np.tanh(x)
        return y, lambda g: g * (1 - y * y)

The decorator makes the function callable on Tensors and does centrally what no op should repeat:
it finds the arrays among the arguments, records the call, and (in `autograd`) sums a gradient back
over broadcast axes, skips inputs that need none and checks shapes.

- A parameter is an *array* unless its annotation says otherwise (`dim: int = -1` is an attribute).
  `*arrays` takes any number of them. An optional array has the default None.
- The pullback maps the cotangent of the result to the cotangents of the arrays, in order: one
  function that returns a tuple (or the single one), or a tuple of functions, one per array, of which
  only the needed ones are called. None stands for 'no gradient'.
- An op is pure: it changes nothing it was given, keeps no state, and takes its randomness (a dropout
  mask) as an input. So it can be run again on other arrays, which is what gradient checking lives on.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from tinytorch.errors import ShapeError
from tinytorch.inplace import Stamp, stamps_of
from tinytorch.tensor import Tensor, as_array

Array = NDArray[Any]
Pullback = Callable[[Array], Any] | tuple[Callable[[Array], Any] | None, ...]

OPS: dict[str, Op] = {}
"""Every op by name, in the order of definition."""


class Where(NamedTuple):
    """A line of user code: the innermost one outside tinytorch."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class _State(threading.local):
    recording = True


state = _State()


class no_grad:
    """Context (or decorator) in which ops record nothing: results have no graph."""

    def __enter__(self) -> None:
        self.before = state.recording
        state.recording = False

    def __exit__(self, *exc: object) -> None:
        state.recording = self.before

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def without_graph(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return fn(*args, **kwargs)

        without_graph.__name__ = fn.__name__
        without_graph.__doc__ = fn.__doc__
        return without_graph


class enable_grad(no_grad):
    """Context in which ops record again, inside a `no_grad`."""

    def __enter__(self) -> None:
        self.before = state.recording
        state.recording = True


def is_grad_enabled() -> bool:
    """Whether ops record a graph on this thread now."""
    return state.recording


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


class Op:
    """A differentiable operation. Call it on Tensors; `run` it on arrays."""

    def __init__(self, fn: Callable[..., tuple[Array, Pullback]], name: str) -> None:
        self.fn = fn
        self.name = name
        self.__name__ = name
        self.__doc__ = fn.__doc__
        self.__wrapped__ = fn
        self.__module__ = fn.__module__
        self.variadic = False
        self.leading: list[str] = []  # attributes that stand before *arrays
        self.parameters: list[str] = []  # what can be given by position, in order
        arrays: list[str] = []
        for p in inspect.signature(fn).parameters.values():
            is_array = p.annotation is p.empty or "Array" in str(p.annotation)
            if p.kind is p.VAR_POSITIONAL:
                self.variadic = True
                self.leading = list(self.parameters)
            elif p.kind is p.KEYWORD_ONLY:
                if is_array:
                    raise TypeError(
                        f"op {name}: keyword-only parameter {p.name!r} has no type; annotate it, "
                        "or move it before the * to make it an array"
                    )
            else:
                self.parameters.append(p.name)
                if is_array:
                    arrays.append(p.name)
        if self.variadic and arrays:
            raise TypeError(f"op {name}: annotate what stands before *arrays; only those are arrays")
        self.arrays = tuple(arrays)
        """Names of the array parameters, in the order of the pullback's results."""
        self._slot = {n: i for i, n in enumerate(arrays)}

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def run(self, inputs: Sequence[Any], attrs: dict[str, Any]) -> tuple[Array, Pullback]:
        """The result and the pullback on plain arrays. Records nothing."""
        if self.variadic:
            lead = [attrs[n] for n in self.leading]
            rest = {k: v for k, v in attrs.items() if k not in self.leading}
            out, pullback = self.fn(*lead, *inputs, **rest)
        else:
            out, pullback = self.fn(**dict(zip(self.arrays, inputs, strict=True)), **attrs)
        return np.asarray(out), pullback

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Sort call arguments into (array inputs, attributes). Raises TypeError as Python would."""
        attrs: dict[str, Any] = {}
        if self.variadic:
            split = len(self.leading)
            inputs = list(args[split:])
            attrs.update(zip(self.leading, args[:split], strict=True))
            attrs.update(kwargs)
            return inputs, attrs
        if len(args) > len(self.parameters):
            raise TypeError(f"{self.name}() takes {len(self.parameters)} arguments, got {len(args)}")
        inputs = [None] * len(self.arrays)
        slot = self._slot
        for name, value in zip(self.parameters, args):
            if name in slot:
                inputs[slot[name]] = value
            else:
                attrs[name] = value
        for name, value in kwargs.items():
            if name in slot:
                inputs[slot[name]] = value
            else:
                attrs[name] = value
        return inputs, attrs

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        inputs, attrs = self.bind(args, kwargs)
        arrays: list[Any] = []
        needs: list[bool] = []
        for i, value in enumerate(inputs):
            if isinstance(value, Tensor):
                arrays.append(value._data)
                needs.append(value.requires_grad)
                continue
            if isinstance(value, np.generic):
                value = value.item()  # a numpy scalar is as weakly typed as a Python number
            elif not isinstance(value, (bool, int, float, complex, np.ndarray, type(None))):
                value = as_array(value)
            inputs[i] = value
            arrays.append(value)
            needs.append(False)
        for name, value in attrs.items():
            if isinstance(value, (Tensor, tuple, list)):
                attrs[name] = _plain(value)
        try:
            result, pullback = self.run(arrays, attrs)
        except (ValueError, IndexError) as error:
            raise ShapeError(_refusal(self, arrays, attrs, error)) from error
        out = Tensor.__new__(Tensor)
        out._data = _keep_dtype(result, arrays)
        out.grad = None
        out.node = None
        out.requires_grad = False
        if state.recording and any(needs):
            out.requires_grad = True
            out.node = Node(
                self,
                tuple(inputs),
                attrs,
                pullback,
                tuple(needs),
                result.shape,
                user_line(),
                stamps_of(pullback, arrays, out._data),
            )
        return out


@overload
def op(fn: Callable[..., Any]) -> Op: ...
@overload
def op(*, name: str) -> Callable[[Callable[..., Any]], Op]: ...
def op(fn: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Make an `Op` of a function and enter it in `OPS` under `name` (default: the function's)."""

    def make(fn: Callable[..., Any]) -> Op:
        made = Op(fn, name or fn.__name__)
        OPS[made.name] = made
        return made

    return make if fn is None else make(fn)


def _plain(value: Any) -> Any:
    """Attributes hold no Tensors: an op sees arrays only."""
    if isinstance(value, Tensor):
        return value._data
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(v) for v in value)
    return value


def _keep_dtype(result: Array, arrays: list[Any]) -> Array:
    """float32 in, float32 out, also where numpy would promote (float32 with int64)."""
    if result.dtype != np.float64:
        return result
    floats = [a.dtype for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind in "fc"]
    if floats:
        widest = np.result_type(*floats)
    elif any(isinstance(a, np.ndarray) for a in arrays):
        widest = np.dtype(np.float32)  # integers only: true division, mean and the like
    else:
        return result
    return result.astype(widest, copy=False)


def _refusal(op: Op, arrays: list[Any], attrs: dict[str, Any], error: Exception) -> str:
    names = op.arrays or [f"input {i}" for i in range(len(arrays))]
    shapes = ", ".join(
        f"{n} {tuple(a.shape)}" if isinstance(a, np.ndarray) else f"{n} {a!r}"
        for n, a in zip(names, arrays, strict=True)
        if a is not None
    )
    extra = "".join(f", {k}={v!r}" for k, v in attrs.items() if not isinstance(v, np.ndarray))
    return f"op {op.name} at {user_line()} cannot be applied to shapes {shapes}{extra}: {error}"


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_inside: dict[CodeType, bool] = {}


def user_line() -> Where:
    """The innermost line outside tinytorch of the call in progress."""
    frame = sys._getframe(1)
    while True:
        code = frame.f_code
        inside = _inside.get(code)
        if inside is None:
            inside = _inside[code] = os.path.abspath(code.co_filename).startswith(_PACKAGE)
        if not inside or frame.f_back is None:
            return Where(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
