"""Cuts of the graph in tinytorch: from the tracer's shadow graph to `Cut`s with source text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradcheck.frameworks.protocol import Cut, Leaf, Output
from gradcheck.source.shorten import short_path
from gradcheck.source.sourcetext import name_in, target_of, text_of
from tinytorch.node import Where
from tinytorch.origins import Edge
from tinytorch.tensor import Tensor
from tinytorch.traced_array import gather
from tinytorch.tracing import Place, Tracer


class Trace:
    """A `CutTrace` of a running tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def built(self) -> None:
        """The model is made; from here on cuts count."""
        self.tracer.built()

    def made_at(self, leaf: Leaf) -> str | None:
        """The user's line that made a leaf."""
        born = self.tracer.born.get(id(leaf))
        return None if born is None else short(born[2].user)

    def frozen_at(self, leaf: Leaf) -> str | None:
        """The line that froze a leaf on purpose: code other than its own layer's turned
        requires_grad off, after it was made with it on."""
        at = self.tracer.turned_off.get(id(leaf))
        if at is None or leaf.requires_grad:
            return None
        mine = getattr(at.owner, "__dict__", {})
        return None if any(value is leaf for value in mine.values()) else short(at.user)

    def off_at(self, leaf: Leaf) -> str | None:
        """The line that turned requires_grad off, whoever it was."""
        at = self.tracer.turned_off.get(id(leaf))
        return None if at is None else short(at.user)

    def cuts(self, output: Output, leaves: Mapping[str, Leaf]) -> list[Cut]:
        """See `CutTrace.cuts`: nearest the output first, each line once."""
        names = {id(leaf): name for name, leaf in leaves.items()}
        found: dict[tuple[Any, ...], tuple[Edge, dict[str, None]]] = {}
        unknown: list[Edge] = []
        for edge in self._way_back(output):
            if edge.cut is None or edge.at is None:
                continue
            if edge.source is None:
                unknown.append(edge)
                continue
            behind = self._upstream(edge.source, names)
            if behind:
                key = (edge.cut, edge.at.user, edge.at.inside)
                before = found.get(key)
                if before is not None and edge.cut != "no_grad":
                    edge = before[0]  # under no_grad the first op is of interest: the last met here
                found[key] = (edge, {**(before[1] if before else {}), **behind})
        made = self.tracer.made.get(id(output))
        if not found and not unknown and made is not None and made.op is None:
            # The loss itself is a new tensor: whatever its value, it came out of the graph.
            unknown.append(Edge(None, "rebuilt", made.at, None))
        if not found and unknown:
            self._by_elimination(unknown, names, found)
        return [
            self._cut(edge, tuple(n for n in leaves if n in upstream))
            for edge, upstream in found.values()
        ]

    def _way_back(self, output: Output) -> list[Edge]:
        """Every edge of the shadow graph behind the output, breadth first."""
        if isinstance(output, Tensor):
            queue = [output]
            edges: list[Edge] = []
        else:  # the step returned a number or an array: that was the cut
            origins = gather(output)[0] or self.tracer.memory.find(output, _array(output))
            edges = [Edge(o.tensor, "item", Place(o.where, None, None), o) for o in origins]
            queue = [o.tensor for o in origins]
        seen = {id(t) for t in queue}
        while queue:
            following = []
            for tensor in queue:
                for edge in self.tracer.parents(tensor):
                    edges.append(edge)
                    if edge.source is not None and id(edge.source) not in seen:
                        seen.add(id(edge.source))
                        following.append(edge.source)
            queue = following
        return edges

    def _upstream(self, tensor: Tensor, names: Mapping[int, str]) -> dict[str, None]:
        behind: dict[str, None] = {}
        stack, seen = [tensor], {id(tensor)}
        while stack:
            t = stack.pop()
            if id(t) in names:
                behind[names[id(t)]] = None
            for edge in self.tracer.parents(t):
                if edge.source is not None and id(edge.source) not in seen:
                    seen.add(id(edge.source))
                    stack.append(edge.source)
        return behind

    def _by_elimination(
        self,
        unknown: list[Edge],
        names: Mapping[int, str],
        found: dict[tuple[Any, ...], tuple[Edge, dict[str, None]]],
    ) -> None:
        """Values of a tensor left the graph, and a tensor of unknown values came in on the way of
        the loss: the last to leave on the same line, or else before it, is the one."""
        for edge in unknown:
            assert edge.at is not None
            departures = [
                (origin, behind)
                for origin in self.tracer.memory.departures
                if (behind := self._upstream(origin.tensor, names))
            ]
            same = [d for d in departures if d[0].where == edge.at.user]
            if not departures:
                continue
            origin, behind = (same or departures)[-1]
            kind = "item" if origin.how == "item" else edge.cut
            known = Edge(origin.tensor, kind, edge.at, origin)
            found[kind, edge.at.user, edge.at.inside] = (known, behind)

    def _cut(self, edge: Edge, upstream: tuple[str, ...]) -> Cut:
        assert edge.at is not None
        assert edge.source is not None
        assert edge.cut is not None
        where = edge.at.user
        inside = edge.at.inside
        made = self.tracer.made.get(id(edge.source))
        left = edge.origin.where if edge.origin is not None else None
        source_place = made.at.user if made is not None and made.at is not None else None
        if made is None and id(edge.source) in self.tracer.born:
            source_place = self.tracer.born[id(edge.source)][2].user
        text_at = inside or where
        name = None
        if inside is None and edge.cut != "no_grad":
            name = name_in(where.file, where.line)
            if left is not None and left != where:
                name = name_in(left.file, left.line) or name
        if edge.cut == "no_grad" and edge.origin is not None:  # name the op that lost its graph
            return Cut(
                kind=edge.cut,
                where=short(where),
                text=text_of(text_at.file, text_at.line),
                source=edge.origin.how,
                source_where=short(edge.origin.where),
                shape=tuple(edge.source.shape),
                upstream=upstream,
                function=where.function,
                inside=None if inside is None else short(inside),
            )
        if name is None and source_place is not None:
            name = target_of(source_place.file, source_place.line)
        return Cut(
            kind=edge.cut,
            where=short(where),
            text=text_of(text_at.file, text_at.line),
            source=made.op if made is not None else None,
            source_where=None if source_place is None else short(source_place),
            shape=tuple(edge.source.shape),
            upstream=upstream,
            function=where.function,
            inside=None if inside is None else short(inside),
            name=name,
            left=None if left is None or left == where else short(left),
        )


def short(where: Where) -> str:
    return f"{short_path(where.file)}:{where.line}"


def _array(value: Any) -> Any:
    import numpy as np

    return np.asarray(value, dtype=float)
