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
  function that returns a tuple (or the single one), or a tuple of functions, one per array, of
  which only the needed ones are called. None stands for 'no gradient'.
- An op is pure: it changes nothing it was given, keeps no state, and takes its randomness (a
  dropout mask) as an input. So it can be run again on other arrays, which is what gradient checking
  lives on.
- What is recorded counts axes from the end, so that an op can be run again on arrays with extra
  leading axes (many copies at once): `@op(prepare=...)` rewrites the attributes (ops/_dims.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from tinytorch.errors import GraphError, ShapeError
from tinytorch.grad_mode import state
from tinytorch.inplace import stamps_of
from tinytorch.node import Array, Node, Pullback, user_line
from tinytorch.tensor import Tensor, as_array

OPS: dict[str, Op] = {}
"""Every op by name, in the order of definition."""


class Op:
    """A differentiable operation. Call it on Tensors; `run` it on arrays."""

    def __init__(
        self,
        fn: Callable[..., tuple[Array, Pullback]],
        name: str,
        prepare: Callable[[Sequence[Any], dict[str, Any]], None] | None = None,
    ) -> None:
        self.fn = fn
        self.prepare = prepare
        self.name = name
        self.__name__ = name
        self.__doc__ = fn.__doc__
        self.__wrapped__ = fn
        self.__module__ = fn.__module__
        self.variadic = False
        self.leading: list[str] = []  # attributes that stand before *arrays
        self.parameters: list[str] = []  # what can be given by position, in order
        arrays: list[str] = []
        self.required: list[int] = []  # slots of the arrays that must be given
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
                    if p.default is p.empty:
                        self.required.append(len(arrays))
                    arrays.append(p.name)
        if self.variadic and arrays:
            raise TypeError(
                f"op {name}: annotate what stands before *arrays; only those are arrays"
            )
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

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Sort call arguments into (array inputs, attributes). Raises TypeError as Python would."""
        attrs: dict[str, Any] = {}
        if self.variadic:
            split = len(self.leading)
            if len(args) < split:
                raise TypeError(f"{self.name}() needs {', '.join(self.leading)} first, then arrays")
            inputs = list(args[split:])
            attrs.update(zip(self.leading, args))
            attrs.update(kwargs)
            return inputs, attrs
        if len(args) > len(self.parameters):
            raise TypeError(
                f"{self.name}() takes {len(self.parameters)} arguments, got {len(args)}"
            )
        inputs = [None] * len(self.arrays)
        slot = self._slot
        for name, value in zip(self.parameters, args):
            if name in slot:
                inputs[slot[name]] = value
            else:
                attrs[name] = value
        for name, value in kwargs.items():
            if name in self.parameters[: len(args)]:
                raise TypeError(f"{self.name}() got two values for its argument {name!r}")
            if name in slot:
                inputs[slot[name]] = value
            else:
                attrs[name] = value
        for i in self.required:
            if inputs[i] is None:
                raise TypeError(f"{self.name}() needs its argument {self.arrays[i]!r}")
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
                attrs[name] = _plain(value, self.name, name)
        try:
            if self.prepare is not None:
                self.prepare(arrays, attrs)
            result, pullback = self.run(arrays, attrs)
        except (ValueError, IndexError) as error:
            raise ShapeError(_refusal(self, arrays, attrs, error)) from error
        out = Tensor.__new__(Tensor)
        out._data = result if "dtype" in attrs else _keep_dtype(result, arrays)
        out.grad = None
        out.node = None
        out.requires_grad = False
        if state.recording and any(needs):
            out.requires_grad = True
            if isinstance(pullback, tuple) and len(pullback) == len(needs):
                # what nobody will call keeps no array alive, nor forbids to change one
                pullback = tuple(f if need else None for f, need in zip(pullback, needs))
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
def op(
    *, name: str | None = ..., prepare: Callable[[Sequence[Any], dict[str, Any]], None] | None = ...
) -> Callable[[Callable[..., Any]], Op]: ...
def op(
    fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    prepare: Callable[[Sequence[Any], dict[str, Any]], None] | None = None,
) -> Any:
    """Make an `Op` of a function and enter it in `OPS` under `name` (default: the function's),
    where no op of tinytorch's own has that name.

    prepare: called as prepare(arrays, attrs) before the op runs and is recorded; it may rewrite
    `attrs` in place so that they do not depend on the number of leading axes (see ops/_dims.py).
    """

    def make(fn: Callable[..., Any]) -> Op:
        made = Op(fn, name or fn.__name__, prepare)
        # Somebody's op of the same name does not take the place of one that tinytorch has.
        if made.name not in OPS or not _is_ours(OPS[made.name]) or _is_ours(made):
            OPS[made.name] = made
        return made

    return make if fn is None else make(fn)


def _is_ours(op: Op) -> bool:
    return op.__module__.partition(".")[0] == "tinytorch"


def _plain(value: Any, op: str, name: str) -> Any:
    """Attributes hold no Tensors: an op sees arrays only. No gradient may get lost on the way."""
    if isinstance(value, Tensor):
        if value.requires_grad and state.recording:
            raise GraphError(
                f"{op}() was given a tensor that requires a gradient as {name!r}, through which it "
                "passes none back; use .detach() when a constant is meant"
            )
        return value._data
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(v, op, name) for v in value)
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
