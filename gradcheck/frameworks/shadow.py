"""The shadow graph: what each tensor was made of, also where the framework's own graph ends.

An adapter that traces cuts records edges here while a forward runs, and yields the graph from
`trace_cuts`:

    graph = ShadowGraph()
    ...                                              # after each call of an op, under the tracer:
    graph.record(result, [Edge(x), Edge(w)], op="linear", at=line)
    graph.record(rebuilt, [Edge(x, "rebuilt", at=line)], at=line)    # Tensor(x.data)
    yield graph

Which parameters lie behind a cut, and which of them reach the loss through no other line, is
computed from the edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.frameworks.protocol import Cut, Leaf, Output
from gradcheck.source.line import Line
from gradcheck.source.text import name_in, target_of, text_of

Key = tuple[str, Line, Line | None]


@dataclass(frozen=True, eq=False)
class Edge:
    """The values of `source` go into another tensor.

    source: None where values come in from outside and nobody knows whose they are. cut: how the
    framework's graph was lost there (see `Cut.kind`), None where it has this edge too. at: the
    user's line. inside: the line in the framework's own files, where the cut happened below the
    user's line. left: the line where the values left the graph, where that is another one.
    op, op_at: of 'no_grad', the operation that lost its graph, and its line.
    """

    source: Any
    cut: str | None = None
    at: Line | None = None
    inside: Line | None = None
    left: Line | None = None
    op: str | None = None
    op_at: Line | None = None

    @property
    def key(self) -> Key | None:
        """Edges with the same key are one cut."""
        return None if self.cut is None or self.at is None else (self.cut, self.at, self.inside)


@dataclass(frozen=True, eq=False)
class Made:
    """How a tensor was made: by which op (None: of values from outside), of what, on which line."""

    op: str | None
    at: Line | None
    edges: Sequence[Edge] = ()


@dataclass(frozen=True, eq=False)
class Departure:
    """The values of `source` left the graph as an array ('rebuilt') or as a number ('item')."""

    source: Any
    at: Line
    cut: str = "rebuilt"


@dataclass(frozen=True, eq=False)
class Frozen:
    """The line that stopped a leaf from training, and the object whose method the line is in."""

    at: Line
    by: Any


class ShadowGraph:
    """A `CutTrace` that an adapter fills. An adapter whose framework keeps such a graph itself
    overrides `origin`, `departures`, `born` and `frozen` instead."""

    sees_entries = False
    """Whether values that come in from outside are recorded too, as edges without a source. If not,
    each departure counts as a cut once nothing else explains a missing gradient."""

    def __init__(self) -> None:
        self._made: dict[int, Made] = {}
        self._departures: list[Departure] = []
        self._frozen: dict[int, Frozen] = {}
        self._alive: list[Any] = []  # an id is only good while its tensor lives

    # --- for the adapter -------------------------------------------------------------------------

    def record(
        self, result: Any, edges: Iterable[Edge], *, op: str | None = None, at: Line | None = None
    ) -> None:
        """`result` was made of the sources of `edges`. Recorded again, it has the edges of both."""
        edges = tuple(edges)
        before = self._made.get(id(result))
        self._made[id(result)] = Made(op, at, (*before.edges, *edges) if before else edges)
        self._alive += [result, *(e.source for e in edges)]

    def leave(self, source: Any, at: Line, cut: str = "rebuilt") -> None:
        """The values of `source` were read as an array, or as a number (`cut='item'`)."""
        self._departures.append(Departure(source, at, cut))
        self._alive.append(source)

    def freeze(self, leaf: Leaf, at: Line, by: Any) -> None:
        """A line in a method of `by` switched `requires_grad` off."""
        self._frozen[id(leaf)] = Frozen(at, by)
        self._alive.append(leaf)

    # --- for an adapter to override --------------------------------------------------------------

    def ends(self, output: Output) -> list[Edge]:
        """Edges from tensors to what the step returned, which may be no tensor any more."""
        return [Edge(output)]

    def origin(self, tensor: Any) -> Made | None:
        """How a tensor was made; None for a leaf, or where it is not known."""
        return self._made.get(id(tensor))

    def departures(self) -> Sequence[Departure]:
        """Everything that left the graph, in order."""
        return self._departures

    def born(self, leaf: Leaf) -> Line | None:
        """The user's line that made a leaf."""
        made = self.origin(leaf)
        return None if made is None else made.at

    def frozen(self, leaf: Leaf) -> Frozen | None:
        """What switched `requires_grad` off."""
        return self._frozen.get(id(leaf))

    def built(self) -> None:
        """See `SkipsBuilding`."""

    # --- what the check asks ---------------------------------------------------------------------

    def made_at(self, leaf: Leaf) -> str | None:
        """See `KnowsOrigins`."""
        at = self.born(leaf)
        return None if at is None else str(at)

    def off_at(self, leaf: Leaf) -> str | None:
        """See `KnowsOrigins`."""
        frozen = self.frozen(leaf)
        return None if frozen is None else str(frozen.at)

    def frozen_at(self, leaf: Leaf) -> str | None:
        """See `KnowsOrigins`."""
        frozen = self.frozen(leaf)
        if frozen is None:
            return None
        own = getattr(frozen.by, "__dict__", {})
        held = [*own.values(), *own.get("_parameters", {}).values()]
        return None if any(value is leaf for value in held) else str(frozen.at)

    def cuts(self, output: Output, leaves: Mapping[str, Leaf]) -> list[Cut]:
        """See `CutTrace`: each line once."""
        way = _Way(self, self.ends(output), leaves)
        found: dict[Key, _Found] = {}
        for edge in way.edges():
            if edge.source is not None:
                way.add(edge, found)
        if not found:
            self._through_outside(output, way, found)
        return [
            replace(
                self._cut(one.edge),
                upstream=tuple(n for n in leaves if n in one.upstream),
                only=tuple(n for n in leaves if n in one.upstream - way.names_without(key)),
            )
            for key, one in found.items()
        ]

    def _through_outside(self, output: Output, way: _Way, found: dict[Key, _Found]) -> None:
        """By elimination: no edge on the way lost its graph, so the values went through an array or
        a number that cannot be traced. The last that left before they came in are the ones."""
        gone = [d for d in self.departures() if way.behind(d.source)]
        if not self.sees_entries:
            for departure in reversed(gone):
                way.add(Edge(departure.source, departure.cut, departure.at), found)
            return
        entries = [e for e in way.edges() if e.source is None and e.key is not None]
        made = self.origin(output)
        if not entries and made is not None and made.op is None:
            # The loss itself is a new tensor: whatever its value, it came out of the graph.
            entries = [Edge(None, "rebuilt", made.at)]
        for entry in entries if gone else ():
            same = [d for d in gone if d.at == entry.at]
            last = (same or gone)[-1]
            cut = "item" if last.cut == "item" else entry.cut
            way.add(replace(entry, source=last.source, cut=cut, left=last.at), found)

    def _cut(self, edge: Edge) -> Cut:
        assert edge.cut is not None
        assert edge.at is not None
        made = self.origin(edge.source)
        source, source_at = (None, self.born(edge.source)) if made is None else (made.op, made.at)
        left = None if edge.left == edge.at else edge.left
        name = None
        if edge.cut == "no_grad":
            source, source_at = edge.op, edge.op_at
        else:
            if edge.inside is None:
                name = (name_in(left) if left is not None else None) or name_in(edge.at)
            if name is None and source_at is not None:
                name = target_of(source_at)
        return Cut(
            kind=edge.cut,
            where=str(edge.at),
            text=text_of(edge.inside or edge.at),
            source=source,
            source_where=None if source_at is None else str(source_at),
            shape=tuple(edge.source.shape),
            function=edge.at.function,
            inside=None if edge.inside is None else str(edge.inside),
            name=name,
            left=None if left is None else str(left),
        )


@dataclass
class _Found:
    """A cut: the edge that shows it, and the names of the leaves behind all its edges."""

    edge: Edge
    upstream: set[str]


class _Way:
    """The way back from the output to the leaves."""

    def __init__(
        self, graph: ShadowGraph, ends: Sequence[Edge], leaves: Mapping[str, Leaf]
    ) -> None:
        self._graph = graph
        self._ends = ends
        self._names = {id(leaf): name for name, leaf in leaves.items()}
        self._into: dict[int, Sequence[Edge]] = {}
        self._behind: dict[int, set[str]] = {}

    def edges(self, *, behind: Any = None, without: Key | None = None) -> Iterator[Edge]:
        """Every edge behind the output, or behind a tensor, breadth first: nearest first."""
        queue = list(self._ends if behind is None else [Edge(behind)])
        seen: set[int] = set()
        while queue:
            following: list[Edge] = []
            for edge in queue:
                if without is not None and edge.key == without:
                    continue
                yield edge
                if edge.source is not None and id(edge.source) not in seen:
                    seen.add(id(edge.source))
                    following.extend(self._edges_into(edge.source))
            queue = following

    def add(self, edge: Edge, found: dict[Key, _Found]) -> None:
        """Count an edge as a cut if there are leaves behind it."""
        key = edge.key
        if key is None:
            return
        behind = self.behind(edge.source)
        if not behind:
            return
        if key not in found:
            found[key] = _Found(edge, set(behind))
            return
        found[key].upstream |= behind
        if edge.cut == "no_grad":  # its first operation is of interest: the last met here
            found[key].edge = edge

    def behind(self, tensor: Any) -> set[str]:
        """Names of the leaves that a tensor was made of."""
        if id(tensor) not in self._behind:
            self._behind[id(tensor)] = self._named(self.edges(behind=tensor))
        return self._behind[id(tensor)]

    def names_without(self, key: Key) -> set[str]:
        """Names of the leaves that reach the output although a cut is taken away."""
        return self._named(self.edges(without=key))

    def _named(self, edges: Iterable[Edge]) -> set[str]:
        return {self._names[id(e.source)] for e in edges if id(e.source) in self._names}

    def _edges_into(self, tensor: Any) -> Sequence[Edge]:
        if id(tensor) not in self._into:
            made = self._graph.origin(tensor)
            self._into[id(tensor)] = () if made is None else made.edges
        return self._into[id(tensor)]
