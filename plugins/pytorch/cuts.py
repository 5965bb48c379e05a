"""Where a PyTorch program leaves the graph: detach, .data, numpy, item, torch.tensor, no_grad.

A `TorchFunctionMode` sees every call and keeps a shadow graph: which tensor was made of which, on
which line, also where autograd keeps nothing. A cut is a call that takes a tensor which needs a
gradient and returns a floating one that autograd knows nothing about.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gradcheck import Edge, Line, Made, ShadowGraph

_TORCH, *_OURS = (
    os.path.dirname(os.path.abspath(sys.modules[name].__file__ or "")) + os.sep
    for name in ("torch", "gradcheck", __package__ or __name__)
)
_SKIPPED = (_TORCH, *_OURS)
LEAVING = ("numpy", "item", "tolist", "__array__", "__float__", "__int__")
READS_SHAPE = frozenset(
    f"{kind}_like" for kind in ("zeros", "ones", "empty", "full", "rand", "randn", "randint")
) | {f"new_{kind}" for kind in ("zeros", "ones", "empty", "full", "tensor", "empty_strided")}
"""Calls that take only the shape, the dtype and the device of their first tensor: no value of it
gets into the result, so no gradient is lost there."""
_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]


class Trace(ShadowGraph):
    """The shadow graph of PyTorch. A step may return more than one tensor.

    Where a call was not seen (it worked in place, or is an `autograd.Function`), autograd's own
    graph leads on to the tensors that are known.
    """

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[Any, torch.Tensor] = {}

    def record(
        self, result: Any, edges: Iterable[Edge], *, op: str | None = None, at: Line | None = None
    ) -> None:
        super().record(result, edges, op=op, at=at)
        if result.grad_fn is not None:
            self._results[result.grad_fn] = result

    def ends(self, output: Any) -> list[Edge]:
        return [Edge(tensor) for tensor in tensors_in(output)]

    def origin(self, tensor: Any) -> Made | None:
        made = super().origin(tensor)
        node = tensor.grad_fn
        if node is None or self._results.get(node) is tensor:
            return made
        before: Sequence[Edge] = () if made is None else made.edges
        name = getattr(type(node), "_forward_cls", type(node)).__name__
        op, at = (name, None) if made is None else (made.op, made.at)
        return Made(op, at, (*before, *self._behind(node)))

    def _behind(self, node: Any) -> Iterator[Edge]:
        """The nearest known tensors behind a node of autograd's graph."""
        stack, seen = [node], {node}
        while stack:
            for following, _ in stack.pop().next_functions:
                if following is None or following in seen:
                    continue
                seen.add(following)
                known = getattr(following, "variable", self._results.get(following))
                if known is None:
                    stack.append(following)
                else:
                    yield Edge(known)


class Recorder(TorchFunctionMode):
    """Fills a shadow graph with everything that runs while it is active."""

    def __init__(self, graph: ShadowGraph) -> None:
        super().__init__()
        self.graph = graph

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = list(tensors_in([args, kwargs]))
        recording = torch.is_grad_enabled()
        name = call_name(func)
        if name == "requires_grad_off" and inputs and inputs[0].requires_grad:
            self._freezes(inputs[0], (*args, *kwargs.values())[1:])
        out = func(*args, **kwargs)
        results = [t for t in tensors_in(out) if all(t is not i for i in inputs)]
        given = None if recording else inside_function()
        if given is not None:
            self._within(given, results, name)
            return out
        if inputs and not results and name in LEAVING and not by_the_harness():
            at = user_line()
            if at is not None:
                kind = "item" if name not in ("numpy", "__array__") else "rebuilt"
                self.graph.leave(inputs[0], at, kind)
        if name in READS_SHAPE:
            inputs = inputs[1:]
        if inputs and results and name != "grad":
            at = user_line()
            for result in results:
                cuts = [_cut(name, i, result, recording) for i in inputs]
                edges = [Edge(i, cut, at, op=name, op_at=at) for i, cut in zip(inputs, cuts)]
                self.graph.record(result, edges, op=name, at=at)
        return out

    def _within(self, given: list[torch.Tensor], results: list[torch.Tensor], name: str) -> None:
        """In the forward of an `autograd.Function` nothing is recorded on purpose: its backward
        stands for all that happens there, whichever way the values take."""
        at = user_line()
        for result in results:
            self.graph.record(result, [Edge(t, None, at) for t in given], op=name, at=at)

    def _freezes(self, leaf: torch.Tensor, flags: tuple[Any, ...]) -> None:
        frame = users_frame()
        if frame is None or True in flags or not flags:
            return
        code = frame.f_code
        owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        self.graph.freeze(leaf, Line.of_frame(frame), owner)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def call_name(func: Any) -> str:
    name = getattr(func, "__name__", str(func))
    if name == "requires_grad_" or (
        name == "__set__" and getattr(func.__self__, "__name__", "") == "requires_grad"
    ):
        return "requires_grad_off"
    if name == "__get__":  # a property, such as .data
        return str(getattr(func.__self__, "__name__", name))
    return str(name)


def _cut(name: str, source: torch.Tensor, result: torch.Tensor, recording: bool) -> str | None:
    if not source.requires_grad or not result.is_floating_point() or result.grad_fn is not None:
        return None
    if name in ("detach", "data"):
        return "detach"
    return "rebuilt" if recording else "no_grad"


def inside_function() -> list[torch.Tensor] | None:
    """The tensors that were given to the `autograd.Function` whose forward runs now; None outside
    of one."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code is _APPLY:
            return list(tensors_in([frame.f_locals.get("args"), frame.f_locals.get("kwargs")]))
        frame = frame.f_back
    return None


def user_line() -> Line | None:
    """The innermost line outside torch, gradcheck and this plugin."""
    frame = users_frame()
    return None if frame is None else Line.of_frame(frame)


def users_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _file(frame).startswith(_SKIPPED):
        frame = frame.f_back
    return frame


def by_the_harness() -> bool:
    """Whether gradcheck or its adapter makes the call to read a value, rather than the user."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _file(frame).startswith(_TORCH):
        frame = frame.f_back
    return frame is not None and _file(frame).startswith(tuple(_OURS))


def _file(frame: FrameType) -> str:
    return os.path.abspath(frame.f_code.co_filename)
