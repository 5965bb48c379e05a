"""Ops that rearrange, repeat, join or cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._dims import count_from_end, negative, negatives, several_from_end
from tinytorch.tensor import Tensor


def _whole_shape(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    """Hook of reshape: work out the -1 and remember how many axes are reshaped."""
    shape, size = as_shape(attrs["shape"]), math.prod(np.shape(arrays[0]))
    if shape.count(-1) == 1:
        known = math.prod(n for n in shape if n != -1)
        if known and size % known == 0:
            shape = tuple(size // known if n == -1 else n for n in shape)
    attrs["shape"], attrs["ndim"] = shape, np.ndim(arrays[0])


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape given as an int or a sequence of ints."""
    return tuple(n.__index__() for n in shape) if isinstance(shape, (tuple, list)) else (shape,)


@op(prepare=_whole_shape)
def reshape(x, shape: tuple[int, ...], ndim: int | None = None):
    """The same entries in row-major order as `shape`; one -1 is worked out.

    ndim: how many of the last axes are reshaped (default all of them).
    """
    old = x.shape
    lead = () if ndim is None else old[: x.ndim - ndim]
    return x.reshape(lead + shape), lambda g: g.reshape(old)


@op(prepare=count_from_end("dim0", "dim1"))
def transpose(x, dim0: int, dim1: int):
    """Two axes exchanged."""
    return np.swapaxes(x, dim0, dim1), lambda g: np.swapaxes(g, dim0, dim1)


def _all_dims(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    ndim = np.ndim(arrays[0])
    attrs["dims"] = dims = negatives(attrs["dims"], ndim)
    if len(dims) != ndim:
        raise ValueError(f"permute needs all {ndim} axes, got {len(dims)}")


@op(prepare=_all_dims)
def permute(x, dims: tuple[int, ...]):
    """Axes in the order `dims`."""
    lead = x.ndim - len(dims)
    order = (*range(lead), *(d % x.ndim for d in dims))
    back = np.argsort(order)
    return np.transpose(x, order), lambda g: np.transpose(g, back)


def _axes_of_length_one(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    shape = np.shape(arrays[0])
    dims = negatives(attrs.get("dim"), len(shape))
    attrs["dim"] = tuple(d for d in dims if shape[d] == 1)


@op(prepare=_axes_of_length_one)
def squeeze(x, dim: int | tuple[int, ...] | None = None):
    """Without the axes `dim` (default all) that have length 1."""
    shape = x.shape
    return np.squeeze(x, dim), lambda g: g.reshape(shape)


@op(prepare=count_from_end("dim", new=1))
def unsqueeze(x, dim: int):
    """With a new axis of length 1 at `dim`."""
    return np.expand_dims(x, dim), lambda g: np.squeeze(g, dim)


def _expanded_shape(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    """Hook of expand: work out every -1."""
    old, shape = np.shape(arrays[0]), as_shape(attrs["shape"])
    if len(shape) < len(old):
        raise ValueError(f"expand to {len(shape)} axes needs at least the {len(old)} there are")
    aligned = (-1,) * (len(shape) - len(old)) + old
    attrs["shape"] = tuple(m if n == -1 else n for n, m in zip(shape, aligned))
    attrs["ndim"] = len(old)


@op(prepare=_expanded_shape)
def expand(x, shape: tuple[int, ...], ndim: int | None = None):
    """Repeated (without a copy) along axes of length 1 and new leading axes; -1 keeps a length."""
    n = x.ndim if ndim is None else ndim
    lead, own = x.shape[: x.ndim - n], x.shape[x.ndim - n :]
    aligned = x.reshape(lead + (1,) * (len(shape) - n) + own)
    return np.broadcast_to(aligned, lead + shape), lambda g: g  # the engine sums the copies


def _joined(dims: Any, new: int) -> Any:
    """Hook of concat and stack."""
    prepare = count_from_end("dim", new=new)

    def with_default(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
        if not arrays:
            raise ValueError("at least one tensor is needed")
        attrs.setdefault("dim", 0)
        prepare(arrays, attrs)

    return with_default


@op(name="concat", prepare=_joined("dim", 0))
def _concat(*arrays, dim: int = 0):
    """Arrays one after the other along `dim`."""
    ends = np.cumsum([0] + [a.shape[dim] for a in arrays])
    y = np.concatenate(arrays, axis=dim)

    def piece(i):
        where = _along(slice(ends[i], ends[i + 1]), dim)
        return lambda g: g[where]

    return y, tuple(piece(i) for i in range(len(arrays)))


@op(name="stack", prepare=_joined("dim", 1))
def _stack(*arrays, dim: int = 0):
    """Arrays beside each other along a new axis `dim`."""

    def piece(i):
        return lambda g: g[_along(i, dim)]

    return np.stack(arrays, axis=dim), tuple(piece(i) for i in range(len(arrays)))


def _along(index: Any, dim: int) -> tuple[Any, ...]:
    """An index that takes `index` on axis `dim` and everything elsewhere."""
    if dim < 0:
        return (..., index, *(slice(None),) * (-dim - 1))
    return (*(slice(None),) * dim, index)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one after the other along `dim`; they agree in every other axis."""
    return _concat(*tensors, dim=dim)


concat = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape beside each other along a new axis `dim`."""
    return _stack(*tensors, dim=dim)


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Slices along `dim`: of one size (the last may be smaller), or of the sizes listed."""
    dim = negative(dim, tensor.ndim)
    n = tensor.shape[dim]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size <= 0:
            raise ValueError(f"split needs a positive size, got {size}")
        sizes = [min(size, n - start) for start in range(0, max(n, 1), size)]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != n:
            raise ValueError(f"split sizes {sizes} do not add up to {n}, the length of dim {dim}")
    ends = np.cumsum([0, *sizes]).tolist()
    return tuple(tensor[_along(slice(a, b), dim)] for a, b in itertools.pairwise(ends))


def chunk(tensor: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` slices of equal size along `dim`, the last perhaps smaller."""
    if chunks <= 0:
        raise ValueError(f"chunk needs a positive number of chunks, got {chunks}")
    return split(tensor, max(1, -(-tensor.shape[dim] // chunks)), dim)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes start_dim to end_dim (both included) as one."""
    if input.ndim == 0:
        return reshape(input, (1,))
    start, end = (negative(d, input.ndim) % input.ndim for d in (start_dim, end_dim))
    if start > end:
        raise ValueError(f"flatten from axis {start} to axis {end}: the first must come first")
    shape = input.shape
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def _pairs(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    widths = attrs["pad"]
    if len(widths) % 2 or len(widths) > 2 * np.ndim(arrays[0]):
        raise ValueError(f"pad {tuple(widths)} must hold a pair for each of the last axes")


@op(prepare=_pairs)
def pad(x, pad: tuple[int, ...], mode: str = "constant", value: float = 0.0):
    """x with `value` around it: pairs (before, after), the last axis first. Negative ones cut."""
    if mode != "constant":
        raise ValueError(f"mode is {mode!r}; only 'constant' is implemented")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    cut = tuple(_inside(max(-a, 0), max(-b, 0), n) for (a, b), n in zip(widths, x.shape))
    kept = x[cut]
    grow = [(max(a, 0), max(b, 0)) for a, b in widths]
    y = np.pad(kept, grow, constant_values=value)
    centre = tuple(_inside(a, b, n) for (a, b), n in zip(grow, y.shape))
    shape, trimmed = x.shape, kept.shape != x.shape

    def pullback(g):
        if not trimmed:
            return g[centre]
        z = np.zeros(shape, g.dtype)
        z[cut] = g[centre]
        return z

    return y, pullback


def _inside(before: int, after: int, n: int) -> slice:
    return slice(before, n - after)


@op(prepare=several_from_end("dims"))
def flip(x, dims: int | tuple[int, ...]):
    """Reversed along `dims`."""
    return np.flip(x, dims), lambda g: np.flip(g, dims)


@op
def tril(x, diagonal: int = 0):
    """Zero above the given diagonal of the last two axes."""
    return np.tril(x, diagonal), lambda g: np.tril(g, diagonal)


@op
def triu(x, diagonal: int = 0):
    """Zero below the given diagonal of the last two axes."""
    return np.triu(x, diagonal), lambda g: np.triu(g, diagonal)
