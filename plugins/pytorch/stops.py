"""Holding what leaves the graph of PyTorch: by `detach`, as an array, as a number, in `no_grad`.

A `TorchFunctionMode` sees every call. The forward of an `autograd.Function` runs without a graph by
design, so nothing leaves it there.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from gradcheck import Array

from .arrays import as_array
from .cuts import (
    LEAVING,
    READS_SHAPE,
    by_the_harness,
    call_name,
    inside_function,
    tensors_in,
    users_frame,
)

Through = Callable[[str, Array, FrameType | None], Array]


class Holding(TorchFunctionMode):
    """Passes what leaves the graph through a hook; see `HoldsStops` of gradcheck."""

    def __init__(self, through: Through) -> None:
        super().__init__()
        self.through = through

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = call_name(func)
        needing = [t for t in tensors_in([args, kwargs]) if _needs(t)]
        recording = torch.is_grad_enabled()
        out = func(*args, **kwargs)
        if not needing or name in NO_VALUES or by_the_harness():
            return out
        if not recording and inside_function() is not None:
            return out
        frame = users_frame()
        if name in LEAVING:
            return self._value(name, needing[0], out, frame)
        if not isinstance(out, (torch.Tensor, tuple, list)):
            return out
        kind = "detach" if name in ("detach", "data") else "rebuilt" if recording else "no_grad"
        left = [
            t
            for t in tensors_in(out)
            if t.is_floating_point() and t.grad_fn is None and all(t is not i for i in needing)
        ]
        if not left:
            return out
        held = {id(t): self._tensor(kind, t, frame) for t in left}
        return _replaced(out, held)

    def _tensor(self, kind: str, tensor: torch.Tensor, frame: FrameType | None) -> torch.Tensor:
        values = as_array(tensor)
        held = self.through(kind, values, frame)
        return tensor if held is values else _like(held, tensor)

    def _value(self, name: str, tensor: torch.Tensor, out: Any, frame: FrameType | None) -> Any:
        """An array, a number or a list that was read from a tensor."""
        kind = "rebuilt" if name in ("numpy", "__array__") else "item"
        values = as_array(tensor)
        held = self.through(kind, values, frame)
        if held is values:
            return out
        if name in ("numpy", "__array__"):
            return np.asarray(held, dtype=np.asarray(out).dtype)
        return held.tolist() if name == "tolist" else type(out)(held.item())


NO_VALUES = READS_SHAPE | {"requires_grad_off", "grad"}
"""Calls that take a tensor and none of its values."""


def _needs(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and tensor.is_floating_point()


def _like(values: Array, tensor: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(values)).to(tensor.dtype).to(tensor.device)


def _replaced(value: Any, held: dict[int, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return held.get(id(value), value)
    if type(value) in (tuple, list):
        return type(value)(_replaced(v, held) for v in value)
    return value
