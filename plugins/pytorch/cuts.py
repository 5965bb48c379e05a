"""Where a PyTorch program leaves the graph: detach, .data, numpy, item, torch.tensor, no_grad.

A `TorchFunctionMode` sees every call and keeps a shadow graph: which tensor was made of which, on
which line, also where autograd keeps nothing. A cut is a call that takes a tensor which needs a
gradient and returns a floating one that autograd knows nothing about.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from gradcheck import Cut, name_in, short_path, target_of, text_of

_TORCH, *_OURS = (
    os.path.dirname(os.path.abspath(sys.modules[name].__file__ or "")) + os.sep
    for name in ("torch", "gradcheck", __package__ or __name__)
)
_SKIPPED = (_TORCH, *_OURS)
LEAVING = ("numpy", "item", "tolist", "__array__", "__float__", "__int__")


class Line(NamedTuple):
    """A line of user code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{short_path(self.file)}:{self.line}"


class Edge(NamedTuple):
    """`source` went into a tensor on a line; `cut` says how the graph was lost there, or None."""

    source: torch.Tensor
    cut: str | None
    at: Line | None


class Departure(NamedTuple):
    """The values of a tensor left PyTorch as an array or a number."""

    source: torch.Tensor
    how: str
    at: Line | None


class Recorder(TorchFunctionMode):
    """The shadow graph of everything that runs while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: dict[int, list[Edge]] = {}
        self.made: dict[int, tuple[str, Line | None]] = {}
        self.departures: list[Departure] = []
        self.turned_off: dict[int, tuple[Line, Any]] = {}  # id of a leaf -> where, whose method
        self._alive: list[Any] = []  # an id is only good while its tensor lives

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = list(tensors_in([args, kwargs]))
        recording = torch.is_grad_enabled()
        name = _name(func)
        if name == "requires_grad_off" and inputs and inputs[0].requires_grad:
            self._freezes(inputs[0], (*args, *kwargs.values())[1:])
        out = func(*args, **kwargs)
        results = [t for t in tensors_in(out) if all(t is not i for i in inputs)]
        if inputs and not results and name in LEAVING and not _by_the_harness():
            self._alive += inputs
            kind = "item" if name != "numpy" and name != "__array__" else "rebuilt"
            self.departures.append(Departure(inputs[0], kind, user_line()))
        if inputs and results and name != "grad":
            at = user_line()
            for result in results:
                edges = [Edge(i, _cut(name, i, result, recording), at) for i in inputs]
                self.parents.setdefault(id(result), []).extend(edges)
                self.made[id(result)] = (name, at)
            self._alive += [*inputs, *results]
        return out

    def _freezes(self, leaf: torch.Tensor, flags: tuple[Any, ...]) -> None:
        frame = _users_frame()
        if frame is None or True in flags or not flags:
            return
        at = Line(os.path.abspath(frame.f_code.co_filename), frame.f_lineno, frame.f_code.co_name)
        code = frame.f_code
        owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        self.turned_off[id(leaf)] = (at, owner)
        self._alive.append(leaf)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def _name(func: Any) -> str:
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


def user_line() -> Line | None:
    """The innermost line outside torch, gradcheck and this plugin."""
    frame = _users_frame()
    if frame is None:
        return None
    return Line(os.path.abspath(frame.f_code.co_filename), frame.f_lineno, frame.f_code.co_name)


def _users_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _file(frame).startswith(_SKIPPED):
        frame = frame.f_back
    return frame


def _by_the_harness() -> bool:
    """Whether gradcheck or its adapter makes the call, to read a value, and no user's line."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _file(frame).startswith(_TORCH):
        frame = frame.f_back
    return frame is not None and _file(frame).startswith(tuple(_OURS))


def _file(frame: FrameType) -> str:
    return os.path.abspath(frame.f_code.co_filename)


class Trace:
    """A `CutTrace` of a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def frozen_at(self, leaf: torch.Tensor) -> str | None:
        """The line that froze a leaf on purpose: code other than its own layer's turned
        requires_grad off."""
        at, owner = self.recorder.turned_off.get(id(leaf), (None, None))
        if at is None or leaf.requires_grad:
            return None
        own = getattr(owner, "__dict__", {})
        held = [*own.values(), *own.get("_parameters", {}).values()]
        return None if any(value is leaf for value in held) else str(at)

    def off_at(self, leaf: torch.Tensor) -> str | None:
        """The line that turned requires_grad off, whoever it was."""
        at, _ = self.recorder.turned_off.get(id(leaf), (None, None))
        return None if at is None else str(at)

    def cuts(self, output: Any, leaves: Mapping[str, torch.Tensor]) -> list[Cut]:
        """See `CutTrace.cuts`: nearest the output first, each line once."""
        names = {id(leaf): name for name, leaf in leaves.items()}
        found: dict[tuple[str, Line], tuple[torch.Tensor, dict[str, None]]] = {}

        def note(source: torch.Tensor, kind: str, at: Line | None) -> None:
            behind = self._upstream(source, names)
            if behind and at is not None:
                first, before = found.get((kind, at), (source, {}))
                found[kind, at] = (first, {**before, **behind})

        for edge in self._way_back(output):
            if edge.cut is not None:
                note(edge.source, edge.cut, edge.at)
        if not found:
            # Nothing on the way lost its graph, so the values went through an array or a number:
            # the last ones to leave are the nearest.
            for departure in reversed(self.recorder.departures):
                note(*departure)
        return [
            self._cut(kind, at, source, tuple(n for n in leaves if n in behind))
            for (kind, at), (source, behind) in found.items()
        ]

    def _way_back(self, output: Any) -> Iterator[Edge]:
        """Every edge behind the output, breadth first."""
        queue = list(tensors_in(output))
        seen = {id(t) for t in queue}
        while queue:
            following = []
            for tensor in queue:
                for edge in self.recorder.parents.get(id(tensor), ()):
                    yield edge
                    if id(edge.source) not in seen:
                        seen.add(id(edge.source))
                        following.append(edge.source)
            queue = following

    def _upstream(self, tensor: torch.Tensor, names: Mapping[int, str]) -> dict[str, None]:
        own = [names[id(tensor)]] if id(tensor) in names else []
        behind = [names[id(e.source)] for e in self._way_back(tensor) if id(e.source) in names]
        return dict.fromkeys([*own, *behind])

    def _cut(self, kind: str, at: Line, source: torch.Tensor, upstream: tuple[str, ...]) -> Cut:
        op, made_at = self.recorder.made.get(id(source), (None, None))
        name = name_in(at.file, at.line) if kind != "no_grad" else None
        if name is None and made_at is not None:
            name = target_of(made_at.file, made_at.line)
        return Cut(
            kind=kind,
            where=str(at),
            text=text_of(at.file, at.line),
            source=op,
            source_where=None if made_at is None else str(made_at),
            shape=tuple(source.shape),
            upstream=upstream,
            function=at.function,
            name=name,
        )
