"""Ops that pick entries by position. Where a position occurs twice, gradients add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._dims import count_from_end


def full_index(index: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """`index` with one entry for each axis of `shape` (and a None for each new axis).

    Boolean arrays become integer arrays of the places that are true; arrays are copied, so that a
    later change of the caller's does not reach the graph. Raises IndexError as numpy would.
    """
    items = [_index_item(i) for i in (index if isinstance(index, tuple) else (index,))]
    used = sum(0 if i is None or i is ... else i.ndim if _is_mask(i) else 1 for i in items)
    if used > len(shape):
        raise IndexError(f"{used} indices for {len(shape)} axes")
    ellipses = [k for k, i in enumerate(items) if i is ...]
    if len(ellipses) > 1:
        raise IndexError("an index can hold one '...' only")
    at = ellipses[0] if ellipses else len(items)
    items[at : at + 1] = [slice(None)] * (len(shape) - used)
    result: list[Any] = []
    axis = 0
    for item in items:
        if _is_mask(item):
            if item.shape != shape[axis : axis + item.ndim]:
                raise IndexError(
                    f"a boolean index of shape {item.shape} does not fit axes of lengths "
                    f"{shape[axis : axis + item.ndim]}"
                )
            result += np.nonzero(item)
            axis += item.ndim
        else:
            result.append(item)
            axis += item is not None
    return tuple(result)


def _index_item(item: Any) -> Any:
    if item is None or item is ... or isinstance(item, slice):
        return item
    if isinstance(item, (bool, np.bool_)):
        raise IndexError("a single bool is no index; use a boolean array of the axis' length")
    array = np.array(item)
    if array.ndim == 0 and array.dtype.kind in "iu":
        return int(array)
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)  # an empty list
    if array.dtype.kind not in "iub":
        raise IndexError(f"indices must be integers, slices or booleans, got {array.dtype}")
    return array


def _is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype == np.bool_


def _prepare_index(arrays: Sequence[Any], attrs: dict[str, Any]) -> None:
    attrs["index"] = full_index(attrs["index"], np.shape(arrays[0]))
    attrs["ndim"] = np.ndim(arrays[0])


@op(prepare=_prepare_index)
def getitem(x, index: Any, ndim: int | None = None):
    """x[index], with numpy's rules: slices, ints, None, '...', integer and boolean arrays.

    ndim: how many of the last axes `index` speaks of (default all).
    """
    if ndim is None:
        index, ndim = full_index(index, x.shape), x.ndim
    shape, lead = x.shape, x.ndim - ndim
    where = (slice(None),) * lead + index
    y = x[where]
    places = [k for k, i in enumerate(index) if isinstance(i, np.ndarray)]
    if not places:

        def pullback(g):  # slices name each entry at most once
            z = np.zeros(shape, g.dtype)
            z[where] = g
            return z

        return y, pullback

    # numpy puts the axes of index arrays that do not stand together in front of all others
    together = all(not isinstance(i, (slice, type(None))) for i in index[places[0] : places[-1]])
    moved = np.broadcast(*(index[k] for k in places)).ndim if lead and not together else 0
    if moved:
        y = np.moveaxis(y, range(moved), range(lead, lead + moved))

    def pullback_adding(g):
        if moved:
            g = np.moveaxis(g, range(lead, lead + moved), range(moved))
        positions = np.arange(np.prod(shape, dtype=np.intp)).reshape(shape)[where]
        return add_at(positions, g, positions_of=shape)

    return y, pullback_adding


def add_at(positions, values, positions_of: tuple[int, ...]):
    """Zeros of a shape, with each value added at its position in row-major order."""
    size = int(np.prod(positions_of, dtype=np.intp))
    flat, values = positions.ravel(), values.ravel()
    if values.dtype.kind == "c":
        z = np.zeros(size, values.dtype)
        np.add.at(z, flat, values)
    else:
        z = np.bincount(flat, values, size).astype(values.dtype)
    return z.reshape(positions_of)


def _grid(index, dim: int) -> tuple[Any, ...]:
    """The place of every entry of `index`, with `index` itself on axis `dim`."""
    axes = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    axes[dim] = index
    return (..., *axes)


def _check_index(index, x, dim: int) -> None:
    if index.dtype.kind not in "iu":
        raise ValueError(f"index must hold integers, got {index.dtype}")
    if index.size and (index.min() < 0 or index.max() >= x.shape[dim]):
        raise IndexError(
            f"index holds {index.min()} to {index.max()}; dim {dim} has length {x.shape[dim]}"
        )


@op(prepare=count_from_end("dim"))
def gather(x, dim: int, index):
    """y[i, j, k] = x[i, index[i, j, k], k] for dim 1 of 3; index may be shorter in other axes."""
    _check_index(index, x, dim)
    where, shape = _grid(index, dim), x.shape

    def pullback(g):
        positions = np.arange(np.prod(shape, dtype=np.intp)).reshape(shape)[where]
        return add_at(positions, g, shape), None

    return x[where], pullback


@op(prepare=count_from_end("dim"))
def scatter_add(x, dim: int, index, src):
    """A copy of x with src[i, j, k] added at [i, index[i, j, k], k] for dim 1 of 3."""
    _check_index(index, x, dim)
    if src.ndim < index.ndim or any(
        n < m for n, m in zip(src.shape[src.ndim - index.ndim :], index.shape)
    ):
        raise ValueError(f"src {src.shape} is smaller than index {index.shape}")
    where = _grid(index, dim)
    used = (..., *(slice(n) for n in index.shape))  # src may be larger than index
    lead = np.broadcast_shapes(x.shape[: x.ndim - index.ndim], src.shape[: src.ndim - index.ndim])
    own = x.shape[x.ndim - index.ndim :]
    y = np.array(np.broadcast_to(x, lead + own), dtype=np.result_type(x, src))
    np.add.at(y, where, src[used])
    src_shape = src.shape

    def to_src(g):
        z = np.zeros(src_shape, g.dtype)
        z[used] = g[where]
        return z

    return y, (lambda g: g, None, to_src)


@op
def embedding(weight, ids, padding_idx: int | None = None):
    """Rows of weight (vocabulary, dim) for ids (...): (..., dim).

    Row padding_idx gets no gradient. Raises for ids outside the vocabulary, also negative ones.
    """
    if ids.dtype.kind not in "iu":
        raise ValueError(f"ids must hold integers, got {ids.dtype}")
    n = weight.shape[-2]
    if ids.size and (ids.min() < 0 or ids.max() >= n):
        raise IndexError(f"ids run from {ids.min()} to {ids.max()}, but there are {n} rows")

    def pullback(g):
        gw = add_rows(ids.reshape(-1), g.reshape(-1, g.shape[-1]), n)
        if padding_idx is not None:
            gw[padding_idx] = 0
        return gw, None

    return np.take(weight, ids, axis=-2), pullback


def add_rows(ids, rows, n: int):
    """(n, dim): the sum of the rows of each id. Sorted once, then summed run by run."""
    z = np.zeros((n, rows.shape[-1]), rows.dtype)
    if ids.size:
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        z[ids[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return z
