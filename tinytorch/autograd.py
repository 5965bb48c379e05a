"""The backward pass: one walk over the graph in reverse topological order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.errors import GraphError, PullbackError
from tinytorch.inplace import changed
from tinytorch.node import Node
from tinytorch.tensor import Tensor, as_array

Array = NDArray[Any]


def backward(output: Tensor, cotangent: Any = None, retain_graph: bool = False) -> None:
    """Add the vector-Jacobian product of `output` with `cotangent` to every leaf's `grad`.

    cotangent: array-like of output's shape, default 1 for a single element. Time and memory are
    linear in the number of nodes. See `Tensor.backward` for the errors.
    """
    seed = _seed(output, cotangent)
    cotangents: dict[int, Array] = {id(output): seed}
    owned: set[int] = set()  # tensors whose cotangent is a sum made here: safe to add to in place
    leaves: dict[int, Tensor] = {}
    order = topological(output)
    while order:
        tensor = order.pop()  # popped, so that what is done with can be freed at once
        g = cotangents.pop(id(tensor), None)
        owned.discard(id(tensor))
        if g is None:
            continue
        if tensor.node is None:
            leaves[id(tensor)] = tensor
            cotangents[id(tensor)] = g  # kept until every node has been pulled back
            continue
        node = tensor.node
        for source, part in zip(node.inputs, pull_back(node, g), strict=True):
            if part is None:
                continue
            key = id(source)
            before = cotangents.get(key)
            if before is None:
                cotangents[key] = part
            elif key in owned:
                before += part
            else:  # asarray: a sum of arrays without axes is a scalar, which += would not change
                cotangents[key] = np.asarray(before + part)
                owned.add(key)
        if not retain_graph:
            node.pullback = None
            node.inputs = ()
            node.stamps = []
    _deliver(leaves, cotangents, seed)


def _seed(output: Tensor, cotangent: Any) -> Array:
    if not output.requires_grad:
        raise GraphError(
            "backward() on a tensor without a graph: no input of its computation requires a "
            "gradient, or it was computed under no_grad, or rebuilt from an array with "
            "Tensor(x.data). Set requires_grad on the parameters and stay with Tensor operations "
            "up to the loss"
        )
    if cotangent is None:
        if output.numel() != 1:
            raise GraphError(
                f"backward() on a tensor of shape {output.shape} needs a cotangent of that shape; "
                "reduce it to a single loss first (.sum(), .mean()), or pass backward(cotangent)"
            )
        return np.ones(output.shape, output.dtype)
    seed = as_array(cotangent, output.dtype)
    if seed.shape != output.shape:
        raise GraphError(
            f"the cotangent has shape {seed.shape}, the tensor has shape {output.shape}; "
            "backward() needs them to be the same"
        )
    return seed


def topological(output: Tensor) -> list[Tensor]:
    """Every tensor of the graph that needs a gradient, each after all tensors it was made from.

    Iterative, so that a chain of any length works. Raises GraphError where the graph was freed.
    """
    order: list[Tensor] = []
    seen = {id(output)}
    stack: list[tuple[Tensor, int]] = [(output, 0)]
    while stack:
        tensor, position = stack.pop()
        node = tensor.node
        if node is None:
            order.append(tensor)
            continue
        if node.pullback is None:
            raise GraphError(
                f"backward() came to the {node.op.name} of {node.where}, whose graph an earlier "
                "backward() has freed. Compute the loss again, or call the first one with "
                "retain_graph=True"
            )
        inputs, needs = node.inputs, node.needs
        while position < len(inputs):
            source = inputs[position]
            position += 1
            if needs[position - 1] and id(source) not in seen:
                seen.add(id(source))
                stack.append((tensor, position))
                stack.append((source, 0))
                break
        else:
            order.append(tensor)
    return order


def pull_back(node: Node, g: Array) -> list[Array | None]:
    """The cotangent of every input of `node` (None where none is needed), shaped like the input."""
    spoilt = changed(node.stamps)
    if spoilt is not None:
        raise GraphError(
            f"an array that the pullback of {node.op.name} ({node.where}) still needs was changed "
            f"in place after the op ran: {_role(node, spoilt)}, shape {spoilt.shape}. "
            "Change a copy, or change it after backward()"
        )
    pullback = node.pullback
    assert pullback is not None
    parts: Any
    if isinstance(pullback, tuple):
        parts = [f(g) if f and need else None for f, need in zip(pullback, node.needs)]
    else:
        parts = pullback(g)
        if not isinstance(parts, tuple):
            parts = (parts,)
    if len(parts) != len(node.inputs):
        raise PullbackError(
            f"the pullback of {node.op.name} returned {len(parts)} cotangents for "
            f"{len(node.inputs)} inputs; return one per array, None for those without a gradient"
        )
    return [
        _fit(node, i, part) if need and part is not None else None
        for i, (part, need) in enumerate(zip(parts, node.needs, strict=True))
    ]


def _fit(node: Node, i: int, part: Any) -> Array:
    """Sum over broadcast axes and cast, so that the cotangent looks like the input it is for."""
    source = node.inputs[i]
    part = unbroadcast(np.asarray(part), source.shape)
    if part.shape != source.shape:
        raise PullbackError(
            f"the pullback of {node.op.name} ({node.where}) returned a cotangent of shape "
            f"{part.shape} for input {i} of shape {source.shape}; they must be the same"
        )
    return part if part.dtype == source.dtype else part.astype(source.dtype)


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum `g` over the axes along which an array of `shape` was repeated to get g's shape."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    if extra < 0:
        return g
    if extra:
        g = g.sum(axis=tuple(range(extra)))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=repeated, keepdims=True) if repeated else g


def _deliver(leaves: dict[int, Tensor], cotangents: dict[int, Array], seed: Array) -> None:
    """Add to `grad`. No two leaves may share an array, nor share one with the caller."""
    handed_out = {id(seed)}
    for key, leaf in leaves.items():
        g = cotangents[key]
        if leaf.grad is not None:
            leaf.grad += g
            continue
        if g.base is not None or id(g) in handed_out or not g.flags.writeable:
            g = g.copy()
        handed_out.add(id(g))
        leaf.grad = g


def _role(node: Node, array: Array) -> str:
    names = node.op.arrays or tuple(f"input {i}" for i in range(len(node.inputs)))
    for name, source in zip(names, node.inputs):
        if isinstance(source, Tensor) and np.shares_memory(source._data, array):
            return f"its input {name!r}"
    return "its result"
