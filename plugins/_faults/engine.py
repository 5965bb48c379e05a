"""Faults of the engine itself: every pullback is right, what is done with the cotangents is not."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinytorch import Tensor, autograd

from .planting import Array, Fault, in_function, replaced

RESIDUAL = """
model: fault_residual
data: {name: digits, batch: 4}
loss: cross_entropy
"""
RECURRENT = """
model: char_lstm
args: {hidden: 4, embed: 3}
data: {name: char_sequences, batch: 2, length: 4, samples: 16}
loss: sequence_cross_entropy
"""
TIED = """
model: fault_tied
data: {name: char_sequences, batch: 2, length: 4, samples: 16}
loss: sequence_cross_entropy
"""
TWICE = "op: split_and_join\ninputs: {x: [2, 5]}"
BROADCAST = "op: mul\ninputs: {a: [3, 4], b: [3, 1]}"

OVERWRITES = (
    ("before += part", "cotangents[key] = part"),
    ("cotangents[key] = np.asarray(before + part)", "cotangents[key] = part"),
)
KEEPS_FIRST = (
    ("before += part", "pass"),
    ("cotangents[key] = np.asarray(before + part)", "pass"),
)


def in_order_of_distance(output: Tensor) -> list[Tensor]:
    """Breadth first: a tensor may come before one that it was made from is complete."""
    order: list[Tensor] = [output]
    seen = {id(output)}
    for tensor in order:
        inputs: Sequence[Any] = tensor.node.inputs if tensor.node is not None else ()
        for source in inputs:
            if isinstance(source, Tensor) and source.requires_grad and id(source) not in seen:
                seen.add(id(source))
                order.append(source)
    return order[::-1]


def first_of_repeated(g: Array, shape: tuple[int, ...]) -> Array:
    """Takes one slice of an axis that was repeated, instead of their sum."""
    if g.shape == shape:
        return g
    if g.ndim > len(shape):
        g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g[tuple(slice(0, n) for n in shape)]


def mean_of_leading(g: Array, shape: tuple[int, ...]) -> Array:
    """Averages over leading axes that were added by broadcasting."""
    if g.shape == shape:
        return g
    if g.ndim > len(shape):
        g = g.mean(axis=tuple(range(g.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=repeated, keepdims=True) if repeated else g


def faults() -> list[Fault]:
    overwrites = in_function(autograd, "backward", *OVERWRITES)
    first_only = in_function(autograd, "backward", *KEEPS_FIRST)
    single = in_function(
        autograd, "pull_back", ("_fit(node, i, part)", "_fit(node, i, np.float32(part) * 1.0)")
    )
    wrong = "wrong_gradient"
    return [
        Fault("used_twice_counted_once", overwrites, TWICE, "gradient", wrong, {"parameter": "x"}),
        Fault("residual_overwritten", overwrites, RESIDUAL, "gradient", wrong,
              {"parameter": "first.weight"}),
        Fault("consumers_overwritten", overwrites, RECURRENT, "gradient", wrong),
        Fault("first_consumer_only", first_only, RECURRENT, "gradient", wrong),
        Fault("tied_weight_counted_once", overwrites, TIED, "gradient", wrong,
              {"parameter": "embedding.weight"}),
        Fault("order_not_topological", replaced(autograd, "topological", in_order_of_distance),
              RESIDUAL, "gradient", wrong),
        Fault("broadcast_not_reduced", replaced(autograd, "unbroadcast", first_of_repeated),
              BROADCAST, "gradient", wrong, {"op": "mul"}),
        Fault("broadcast_averaged", replaced(autograd, "unbroadcast", mean_of_leading),
              "op: add\ninputs: {a: [3, 4], b: [4]}", "gradient", wrong, {"op": "add"}),
        Fault("engine_in_single_precision", single, RESIDUAL, "gradient", wrong),
        Fault("engine_clips_gradients",
              in_function(autograd, "_deliver", ("g = cotangents[key]", "g = np.clip(cotangents[key], -0.01, 0.01)")),
              RESIDUAL, "gradient", wrong),
        Fault("engine_counts_leaves_twice",
              in_function(autograd, "_deliver", ("leaf.grad = g", "leaf.grad = g + g")),
              RESIDUAL, "gradient", wrong),
        Fault("engine_drops_the_seed",
              in_function(autograd, "_seed", ("return seed", "return np.ones_like(seed)")),
              "op: sin\ninputs: {x: [2, 3]}", "gradient", "not_linear"),
    ]  # fmt: skip
