"""The shadow graph as an adapter of some framework uses it: edges in, cuts out."""

from __future__ import annotations

from gradcheck.frameworks.protocol import KnowsOrigins, SkipsBuilding
from gradcheck.frameworks.shadow import Edge, ShadowGraph
from gradcheck.source.line import Line


class Box:
    """A tensor of a framework that gradcheck does not know."""

    shape = (2, 3)


def at(number: int) -> Line:
    return Line("model.py", number, "forward")


def test_a_graph_without_a_cut_has_none() -> None:
    graph, w, y = ShadowGraph(), Box(), Box()
    graph.record(y, [Edge(w)], op="linear", at=at(1))
    assert graph.cuts(y, {"w": w}) == []


def test_a_cut_names_its_line_what_was_cut_off_and_who_lies_behind() -> None:
    graph, w, bias, h, rebuilt, loss = ShadowGraph(), Box(), Box(), Box(), Box(), Box()
    graph.record(h, [Edge(w)], op="linear", at=at(1))
    graph.record(rebuilt, [Edge(h, "rebuilt", at(2), left=at(1))], at=at(2))
    graph.record(loss, [Edge(rebuilt), Edge(bias)], op="add", at=at(3))
    (cut,) = graph.cuts(loss, {"w": w, "bias": bias})
    assert (cut.kind, cut.where, cut.left) == ("rebuilt", "model.py:2", "model.py:1")
    assert (cut.source, cut.source_where, cut.shape) == ("linear", "model.py:1", (2, 3))
    assert cut.upstream == cut.only == ("w",)
    assert cut.function == "forward"


def test_a_parameter_with_another_way_to_the_loss_is_upstream_but_not_only_there() -> None:
    graph, w, v, h, side, loss = ShadowGraph(), Box(), Box(), Box(), Box(), Box()
    graph.record(h, [Edge(w)], op="linear", at=at(1))
    graph.record(side, [Edge(h, "detach", at(2)), Edge(v, "detach", at(2))], at=at(2))
    graph.record(loss, [Edge(h), Edge(side)], op="add", at=at(3))
    (cut,) = graph.cuts(loss, {"w": w, "v": v})
    assert cut.upstream == ("w", "v")
    assert cut.only == ("v",)


def test_cuts_come_nearest_the_loss_first_and_each_line_once() -> None:
    graph, w, v, a, b, c, loss = ShadowGraph(), *(Box() for _ in range(6))
    graph.record(a, [Edge(w, "detach", at(1))], at=at(1))
    graph.record(b, [Edge(a, "detach", at(2))], at=at(2))
    graph.record(c, [Edge(v, "detach", at(2))], at=at(2))
    graph.record(loss, [Edge(b), Edge(c)], op="add", at=at(3))
    near, far = graph.cuts(loss, {"w": w, "v": v})
    assert (near.where, near.upstream) == ("model.py:2", ("w", "v"))
    assert (far.where, far.upstream) == ("model.py:1", ("w",))


def test_under_no_grad_the_first_operation_is_named() -> None:
    graph, w, h, y = ShadowGraph(), Box(), Box(), Box()
    lost = [Edge(w, "no_grad", at(1), op="linear", op_at=at(2))]
    graph.record(h, lost, op="linear", at=at(2))
    graph.record(y, [Edge(h, "no_grad", at(1), op="relu", op_at=at(3))], op="relu", at=at(3))
    (cut,) = graph.cuts(y, {"w": w})
    assert (cut.where, cut.source, cut.source_where) == ("model.py:1", "linear", "model.py:2")


def test_what_left_last_is_to_blame_where_nothing_else_explains_it() -> None:
    graph, w, h, loss = ShadowGraph(), Box(), Box(), Box()
    graph.record(h, [Edge(w)], op="linear", at=at(1))
    graph.leave(h, at(2), "item")
    assert [c.kind for c in graph.cuts(loss, {"w": w})] == ["item"]


def test_a_number_that_was_only_printed_is_no_cut_where_entries_are_seen() -> None:
    class Seeing(ShadowGraph):
        sees_entries = True

    graph, w, h, loss = Seeing(), Box(), Box(), Box()
    graph.record(h, [Edge(w)], op="linear", at=at(1))
    graph.leave(h, at(2), "item")  # print(h.item())
    graph.record(loss, [Edge(Box())], op="mean", at=at(4))
    assert graph.cuts(loss, {"w": w}) == []
    graph.record(loss, [Edge(None, "rebuilt", at(3))], op="mean", at=at(4))
    (cut,) = graph.cuts(loss, {"w": w})
    assert (cut.kind, cut.where, cut.left) == ("item", "model.py:3", "model.py:2")


def test_a_leaf_frozen_by_its_own_layer_was_not_frozen_on_purpose() -> None:
    class Layer:
        def __init__(self, leaf: Box) -> None:
            self._parameters = {"weight": leaf}

    graph, mine, others = ShadowGraph(), Box(), Box()
    layer = Layer(mine)
    graph.freeze(mine, at(1), layer)
    graph.freeze(others, at(2), layer)
    assert (graph.off_at(mine), graph.frozen_at(mine)) == ("model.py:1", None)
    assert graph.frozen_at(others) == "model.py:2"
    assert graph.frozen_at(Box()) is None


def test_the_shadow_graph_has_all_capabilities_of_a_trace() -> None:
    assert isinstance(ShadowGraph(), KnowsOrigins)
    assert isinstance(ShadowGraph(), SkipsBuilding)
