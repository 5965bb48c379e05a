"""Tracing what leaves the graph and comes back: `with Tracer() as trace: ...`.

While a tracer is active it replaces the public ways out of a tensor (`data`, `numpy`, `item`,
`float()`, `tolist`, `detach`), the ways in (`Tensor(...)`, plain arrays given to an op) and
`no_grad`, and keeps a shadow graph of every op call, recorded or not. Edges of the shadow graph
that the real one does not have are the cuts. When it is off nothing is replaced, so nothing costs.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from tinytorch import grad_mode
from tinytorch.grad_mode import state
from tinytorch.node import Where
from tinytorch.operation import Op
from tinytorch.origins import Edge, Made, Memory
from tinytorch.tensor import Tensor
from tinytorch.traced_array import Origin, TracedArray, gather, plain, traced

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CORE = {
    _PACKAGE + name + ".py"
    for name in (
        "tensor", "operation", "node", "grad_mode", "tracing", "traced_array", "origins",
        "autograd", "methods", "creation", "inplace", os.path.join("nn", "parameter"),
    )
}  # fmt: skip


class Place:
    """A line: `user`, the innermost outside tinytorch; `inside`, a line of the library below it."""

    __slots__ = ("inside", "owner", "user")

    def __init__(self, user: Where, inside: Where | None, owner: Any) -> None:
        self.user = user
        self.inside = inside
        self.owner = owner  # the `self` of the user's function, to tell who does something


def place() -> Place:
    """Where the call in progress comes from."""
    frame: Any = sys._getframe(1)
    inside = None
    while True:
        file = os.path.abspath(frame.f_code.co_filename)
        if file not in _CORE and "__tracebackhide__" not in frame.f_code.co_varnames:
            where = Where(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
            if not file.startswith(_PACKAGE) or frame.f_back is None:
                return Place(where, inside, frame.f_locals.get("self"))
            inside = inside or where
        if frame.f_back is None:
            return Place(Where(frame.f_code.co_filename, frame.f_lineno, ""), inside, None)
        frame = frame.f_back


class Tracer:
    """Active inside a `with`. Not reentrant; one at a time in a process."""

    def __init__(self) -> None:
        self.made: dict[int, Made] = {}
        self.memory = Memory()
        self.born: dict[int, tuple[Tensor, bool, Place]] = {}
        self.turned_off: dict[int, Place] = {}
        self.quiet: list[Place | None] = []  # the no_grad blocks that are open
        self.building = True
        self._saved: dict[tuple[Any, str], Any] = {}

    def built(self) -> None:
        """From here on, what leaves the graph counts: the model is made, the forward begins."""
        self.building = False

    # --- what the shadow graph knows ---------------------------------------------------------

    def parents(self, tensor: Tensor) -> tuple[Edge, ...]:
        made = self.made.get(id(tensor))
        return made.edges if made is not None else ()

    # --- replacing ---------------------------------------------------------------------------

    def __enter__(self) -> Tracer:
        slot = Tensor.__dict__["_data"]
        flag = Tensor.__dict__["requires_grad"]
        self._replace(Tensor, "data", self._data_property(slot))
        self._replace(Tensor, "requires_grad", self._flag_property(flag))
        self._replace(Tensor, "__init__", self._init(Tensor.__init__))
        self._replace(Tensor, "detach", self._detach(Tensor.detach))
        self._replace(Tensor, "__array__", self._array(Tensor.__array__))
        for name in ("item", "tolist"):
            self._replace(Tensor, name, self._number(getattr(Tensor, name), name))
        self._replace(Op, "__call__", self._call(Op.__call__))
        recording = grad_mode._Recording
        self._replace(recording, "__enter__", self._enter(recording.__enter__))
        self._replace(recording, "__exit__", self._exit(recording.__exit__))
        return self

    def __exit__(self, *exc: object) -> None:
        for (owner, name), original in self._saved.items():
            setattr(owner, name, original)
        self._saved.clear()

    def _replace(self, owner: Any, name: str, new: Any) -> None:
        self._saved[owner, name] = owner.__dict__[name]
        setattr(owner, name, new)

    def _data_property(self, slot: Any) -> property:
        def get(tensor: Tensor) -> Any:
            array = slot.__get__(tensor)
            if self.building or array.dtype.kind != "f":
                return array
            origin = Origin(tensor, "data", place().user)
            self.memory.left(origin)
            return traced(array, (origin,), self.memory.note)

        def put(tensor: Tensor, value: Any) -> None:
            made = self.made.get(id(tensor))
            if made is not None and made.op is not None:
                # The result of an op gets other values: what it was lives on as another tensor, so
                # that the way back leads through the cut.
                before: Tensor = Tensor.__new__(Tensor)
                before._data, before.grad, before.node = tensor._data, None, None
                self.made[id(before)] = made._replace(tensor=before)
                at = place()
                edges = [
                    edge._replace(source=before) if edge.source is tensor else edge
                    for edge in self._edges(value, np.asarray(value), "rebuilt", at)
                ]
                self.made[id(tensor)] = Made(tensor, None, tuple(edges), at)
            slot.__set__(tensor, plain(value))

        return property(get, put)

    def _flag_property(self, flag: Any) -> property:
        def put(tensor: Tensor, value: bool) -> None:
            if self.building and not value and getattr(tensor, "_data", None) is not None:
                born = self.born.get(id(tensor))
                if born is not None and born[1] and flag.__get__(tensor):
                    self.turned_off[id(tensor)] = place()
            flag.__set__(tensor, value)

        return property(flag.__get__, put)

    def _init(self, original: Any) -> Any:
        def __init__(  # noqa: N807
            tensor: Tensor, data: Any, requires_grad: bool = False, dtype: Any = None
        ) -> None:
            at = place()
            original(tensor, plain(data), requires_grad, dtype)
            if self.building or requires_grad:  # a parameter made in the forward, too
                self.born[id(tensor)] = (tensor, requires_grad, at)
            if self.building:
                return
            if tensor._data.dtype.kind == "f" and not isinstance(data, Tensor):
                edges = self._edges(data, tensor._data, "rebuilt", at)
                self.made[id(tensor)] = Made(tensor, None, edges, at)
            elif isinstance(data, Tensor):
                self.made[id(tensor)] = Made(tensor, None, (Edge(data, "rebuilt", at, None),), at)

        return __init__

    def _detach(self, original: Any) -> Any:
        def detach(tensor: Tensor) -> Tensor:
            result: Tensor = original(tensor)
            if not self.building:
                at = place()
                edge = Edge(tensor, "detach", at, None)
                self.made[id(result)] = Made(result, None, (edge,), at)
            return result

        return detach

    def _number(self, original: Any, name: str) -> Any:
        def number(tensor: Tensor) -> Any:
            value = original(tensor)
            if not self.building:
                how = "item" if tensor._data.size == 1 else "data"
                origin = Origin(tensor, how, place().user)
                self.memory.left(origin)
                self.memory.note(value, (origin,))
            return value

        number.__name__ = name
        return number

    def _array(self, original: Any) -> Any:
        def __array__(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            if not self.building:
                self.memory.left(Origin(tensor, "data", place().user))
            return original(tensor, *args, **kwargs)

        return __array__

    def _enter(self, original: Any) -> Any:
        def __enter__(context: Any) -> Any:  # noqa: N807
            if not context.recording:
                frame = sys._getframe(1)
                fn = frame.f_locals.get("fn") if frame.f_code.co_name == "wrapped" else None
                self.quiet.append(_decorated(fn) if fn is not None else place())
            else:
                self.quiet.append(None)
            return original(context)

        return __enter__

    def _exit(self, original: Any) -> Any:
        def __exit__(context: Any, *exc: object) -> Any:  # noqa: N807
            if self.quiet:
                self.quiet.pop()
            return original(context, *exc)

        return __exit__

    def _call(self, original: Any) -> Any:
        def __call__(op: Op, *args: Any, **kwargs: Any) -> Tensor:  # noqa: N807
            if self.building:
                return original(op, *plain(args), **plain(kwargs))
            edges: list[Edge] = []
            at = None
            for value in (*args, *kwargs.values()):
                for item in value if type(value) in (tuple, list) else (value,):
                    if isinstance(item, Tensor):
                        if item._data.dtype.kind != "f":
                            continue
                        if item.requires_grad and not state.recording:
                            at = at or place()
                            since = self._quiet_since() or at
                            edges.append(
                                Edge(item, "no_grad", since, Origin(item, op.name, at.user))
                            )
                        else:
                            edges.append(Edge(item, None, None, None))
                    elif isinstance(item, (np.ndarray, np.floating, float)):
                        if isinstance(item, np.ndarray) and item.dtype.kind != "f":
                            continue
                        at = at or place()
                        edges.extend(
                            e
                            for e in self._edges(item, np.asarray(item), "rebuilt", at)
                            # a number of unknown source is most likely a constant of the model
                            if e.source is not None or isinstance(item, np.ndarray)
                        )
            result: Tensor = original(op, *plain(args), **plain(kwargs))
            if result._data.dtype.kind == "f":
                self.made[id(result)] = Made(result, op.name, tuple(edges), at or place())
                self.memory.keep(result)
            return result

        return __call__

    def _quiet_since(self) -> Place | None:
        return next((p for p in reversed(self.quiet) if p is not None), None)

    def _edges(self, data: Any, array: Any, kind: str, at: Place) -> tuple[Edge, ...]:
        """Cut edges from the tensors whose values `data` holds; one without a source if
        nobody knows whose they are, so that a cut can still be found by elimination."""
        origins, _ = gather(data)
        if not origins:
            origins = self.memory.find(data, array)
        if origins:
            return tuple(
                Edge(o.tensor, "item" if o.how == "item" else kind, at, o) for o in origins
            )
        if not self.memory.departures or isinstance(data, Tensor):
            return ()
        same = array.size == 0 or bool(np.all(array == array.flat[0]))
        if same and (array.size != 1 or float(array.flat[0]) in (0.0, 1.0)):
            return ()  # zeros, ones, a fill value: a constant
        return (Edge(None, kind, at, None),)


def _decorated(fn: Any) -> Place:
    code = fn.__code__
    return Place(Where(code.co_filename, code.co_firstlineno, code.co_name), None, None)


__all__ = ["Place", "TracedArray", "Tracer", "place"]
