"""Inputs that a model might take, guessed from its first layer and the names of its arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import nn

from gradcheck import Array

BATCH, TIME, NODES = 3, 8, 6
IMAGES = (32, 28, 64, 16, 8, 224)
"""Sides of images, the usual ones first."""

Guess = tuple[str, list[Array]]


def guesses(model: Any, seed: int) -> Iterator[Guess]:
    """(what it is, the arrays for the arguments that forward needs), the likeliest first."""
    if not isinstance(model, nn.Module):
        return
    rng = np.random.default_rng(seed)
    names = _needed(model)
    first = next((m for m in model.modules() if type(m) in _OF), None)
    if first is None or not names:
        return
    for said, make in _OF[type(first)](first):
        arrays = [_named(name) for name in names]
        x = make(rng)
        if any(a is not None for a in arrays):  # nodes and the graph on them
            if x.ndim != 2:
                continue
            x = np.resize(x, (NODES, x.shape[1]))
        yield said, [x if a is None and i == 0 else make(rng) if a is None else a
                     for i, a in enumerate(arrays)]  # fmt: skip


def _needed(model: nn.Module) -> list[str]:
    return [
        p.name
        for p in inspect.signature(model.forward).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def _named(name: str) -> Array | None:
    """The graph of a network on graphs: a ring."""
    ring = np.arange(NODES)
    if "edge" in name:
        return np.stack([ring, np.roll(ring, 1)])
    if name.startswith("adj"):
        joined = np.eye(NODES) + np.roll(np.eye(NODES), 1, 0) + np.roll(np.eye(NODES), -1, 0)
        return joined / 3
    return None


def _normal(*shape: int) -> Any:
    return lambda rng: rng.standard_normal(shape)


def _embedding(layer: Any) -> Iterator[tuple[str, Any]]:
    size = layer.num_embeddings
    for shape in ((BATCH, TIME), (BATCH,)):
        yield f"ids {shape} below {size}", lambda rng, s=shape: rng.integers(0, size, s)


def _conv(dims: int) -> Any:
    def of(layer: Any) -> Iterator[tuple[str, Any]]:
        for side in IMAGES:
            shape = (BATCH, layer.in_channels, *[side] * dims)
            yield f"random values {shape}", _normal(*shape)

    return of


def _linear(layer: Any) -> Iterator[tuple[str, Any]]:
    size = layer.in_features
    for shape in ((BATCH, size), (BATCH, TIME, size)):
        yield f"random values {shape}", _normal(*shape)
    for channels in (1, 3):  # images that are flattened
        side = math.isqrt(size // channels)
        if channels * side * side == size:
            image = (BATCH, channels, side, side)
            yield f"random values {image}", _normal(*image)


def _recurrent(layer: Any) -> Iterator[tuple[str, Any]]:
    shape = (BATCH, TIME, layer.input_size)
    yield f"random values {shape}", _normal(*shape)


_OF: dict[type, Any] = {
    nn.Embedding: _embedding,
    nn.Conv1d: _conv(1),
    nn.Conv2d: _conv(2),
    nn.Conv3d: _conv(3),
    nn.Linear: _linear,
    nn.LSTM: _recurrent,
    nn.GRU: _recurrent,
    nn.RNN: _recurrent,
}
