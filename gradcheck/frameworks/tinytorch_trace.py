"""Cuts of the graph in tinytorch: its tracer's books, read as a `ShadowGraph`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.frameworks.protocol import Leaf, Output
from gradcheck.frameworks.shadow import Departure, Edge, Frozen, Made, ShadowGraph
from gradcheck.source.line import Line
from tinytorch.node import Where
from tinytorch.origins import Edge as TracedEdge
from tinytorch.tensor import Tensor
from tinytorch.traced_array import Origin, gather
from tinytorch.tracing import Tracer


class Trace(ShadowGraph):
    """The shadow graph of a running tracer."""

    sees_entries = True

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def built(self) -> None:
        self.tracer.built()

    def ends(self, output: Output) -> list[Edge]:
        if isinstance(output, Tensor):
            return [Edge(output)]
        # The step returned a number or an array: that was the cut.
        origins = gather(output)[0] or self.tracer.memory.find(
            output, np.asarray(output, dtype=float)
        )
        return [Edge(o.tensor, "item", _line(o.where)) for o in origins]

    def origin(self, tensor: Tensor) -> Made | None:
        made = self.tracer.made.get(id(tensor))
        if made is None:
            return None
        at = None if made.at is None else _line(made.at.user)
        return Made(made.op, at, tuple(_edge(edge) for edge in made.edges))

    def departures(self) -> Sequence[Departure]:
        return [_departure(origin) for origin in self.tracer.memory.departures]

    def born(self, leaf: Leaf) -> Line | None:
        born = self.tracer.born.get(id(leaf))
        return None if born is None else _line(born[2].user)

    def frozen(self, leaf: Leaf) -> Frozen | None:
        at = self.tracer.turned_off.get(id(leaf))
        return None if at is None else Frozen(_line(at.user), at.owner)


def _line(where: Where) -> Line:
    return Line(*where)


def _edge(edge: TracedEdge) -> Edge:
    if edge.at is None:
        return Edge(edge.source)
    at = _line(edge.at.user)
    inside = None if edge.at.inside is None else _line(edge.at.inside)
    if edge.origin is None:
        return Edge(edge.source, edge.cut, at, inside)
    origin_at = _line(edge.origin.where)
    if edge.cut == "no_grad":
        return Edge(edge.source, edge.cut, at, inside, op=edge.origin.how, op_at=origin_at)
    return Edge(edge.source, edge.cut, at, inside, left=origin_at)


def _departure(origin: Origin) -> Departure:
    kind = "item" if origin.how == "item" else "rebuilt"
    return Departure(origin.tensor, _line(origin.where), kind)
