"""The calls of a forward as they were made, with lines and values, to find where two runs part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from gradcheck import Array, Line

from .arrays import as_array
from .cuts import tensors_in, user_line

NAMES = {
    "__matmul__": "matmul",
    "bmm": "matmul",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__truediv__": "div",
    "__add__": "add",
    "__radd__": "add",
    "__sub__": "sub",
    "__getitem__": "getitem",
    "view": "reshape",
    "contiguous": "clone",
}
"""Functions of torch under the names that tinytorch's ops have."""


class SeenCall:
    """A call that was seen; an `OpCall` but for its pullback."""

    def __init__(
        self,
        name: str,
        call: tuple[Any, tuple[Any, ...], dict[str, Any]],
        sources: tuple[int | None, ...],
        result: Array,
        at: Line | None,
    ) -> None:
        self.name = name
        self._call = call
        self.sources = sources
        self.result = result
        self.where = None if at is None else str(at)
        self.inputs: tuple[Array, ...] = tuple(map(_array, tensors_in([call[1], call[2]])))
        self.input_names: tuple[str, ...] = ()
        self.needs: tuple[bool, ...] = ()
        self.attrs: Mapping[str, Any] = {}

    def run(self, inputs: Sequence[Any]) -> Array:
        """The result that was seen, or of another run on other arrays."""
        if all(a is b for a, b in zip(inputs, self.inputs)):
            return self.result
        func, args, kwargs = self._call
        given = iter(inputs)
        args, kwargs = _replaced([args, kwargs], given)
        with torch.no_grad():
            return _array(func(*args, **kwargs))


class Watching(TorchFunctionMode):
    """Notes every call that makes a floating tensor of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[SeenCall] = []
        self._made: dict[int, int] = {}
        self._alive: list[Any] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = list(tensors_in([args, kwargs]))
        results = [t for t in tensors_in(out) if all(t is not i for i in inputs)]
        name = getattr(func, "__name__", str(func))
        if inputs and results and name != "__get__" and results[0].is_floating_point():
            sources = tuple(self._made.get(id(t)) for t in inputs)
            self._made.update((id(t), len(self.calls)) for t in results)
            self._alive += results
            self.calls.append(
                SeenCall(
                    NAMES.get(name, name), (func, args, kwargs), sources, _array(results[0]),
                    user_line(),
                )
            )  # fmt: skip
        return out


def _array(tensor: torch.Tensor) -> Array:
    return as_array(tensor)


def _replaced(value: Any, given: Any) -> Any:
    """The same structure with its tensors replaced, in the order of `tensors_in`."""
    if isinstance(value, torch.Tensor):
        return torch.from_numpy(np.array(next(given))).to(value.dtype)
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(v, given) for v in value)
    if isinstance(value, dict):
        return {k: _replaced(v, given) for k, v in value.items()}
    return value
