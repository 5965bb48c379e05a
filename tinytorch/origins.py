"""Find whose values an array holds, when it does not say so itself: by shared memory, by equal
bytes, by equal numbers. Used by `tinytorch.tracing` only."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinytorch.tensor import Tensor
from tinytorch.traced_array import Origin, Origins

if TYPE_CHECKING:
    from tinytorch.tracing import Place


class Edge(NamedTuple):
    """A tensor's values go into another. cut: None where the graph has this edge too, otherwise how
    it was cut. source None: nobody knows whose values they are."""

    source: Tensor | None
    cut: str | None
    at: Place | None
    origin: Origin | None


class Made(NamedTuple):
    """How a tensor came to be, in the shadow graph."""

    tensor: Tensor
    op: str | None
    edges: tuple[Edge, ...]
    at: Place | None


class Memory:
    """The results of ops, by their memory and size, and every number taken out of a tensor."""

    def __init__(self) -> None:
        self.by_owner: dict[int, tuple[Any, Tensor]] = {}
        self.by_size: dict[int, list[Tensor]] = defaultdict(list)
        self.numbers: dict[float, Origins] = {}
        self.lists: list[tuple[NDArray[Any], Origins]] = []
        self.departures: list[Origin] = []
        self._ranges: dict[int, tuple[float, float]] = {}

    def keep(self, tensor: Tensor) -> None:
        """Remember the result of an op (the owner is kept alive, so that its id stays its own)."""
        owner = owner_of(tensor._data)
        self.by_owner[id(owner)] = (owner, tensor)
        self.by_size[tensor._data.size].append(tensor)

    def left(self, origin: Origin) -> None:
        """Values of a tensor left the graph here."""
        self.departures.append(origin)

    def note(self, value: Any, origins: Origins) -> None:
        """A number, or a list of numbers, was taken out of tensors."""
        if isinstance(value, (int, float)):
            as_item = tuple(o._replace(how="item") for o in origins)
            self.numbers[float(value)] = as_item
            self.numbers[float(np.float32(value))] = as_item
        elif isinstance(value, list):
            self.lists.append((np.asarray(value, dtype=np.float64).reshape(-1), origins))

    def find(self, data: Any, array: NDArray[Any]) -> Origins:
        """The origins of plain values, () where they are nobody's."""
        if isinstance(data, Tensor):
            return ()
        if isinstance(data, np.ndarray):
            known = self.by_owner.get(id(owner_of(data)))
            if known is not None:
                return (self._departure(known[1]),)
        if array.size == 1:
            return self.numbers.get(float(array.reshape(-1)[0]), ())
        return self._by_bytes(array)

    def _by_bytes(self, array: NDArray[Any]) -> Origins:
        flat = array.reshape(-1)
        if flat.size == 0:
            return ()
        if np.all(flat == flat[0]):  # filled with a number taken out before; 0 and 1 are nobody's
            return () if flat[0] in (0, 1) else self.numbers.get(float(flat[0]), ())
        ordered = None
        low, high = flat.min(), flat.max()
        for values, origins in self.lists:
            if values.size == flat.size and np.array_equal(values.astype(flat.dtype), flat):
                return origins
        for tensor in reversed(self.by_size.get(flat.size, [])):
            # The lowest and highest value tell nearly all others apart, and are cheap to keep.
            if self._range(tensor, flat.dtype) != (low, high):
                continue
            theirs = tensor._data.reshape(-1).astype(flat.dtype, copy=False)
            if np.array_equal(theirs, flat):
                return (self._departure(tensor),)
            ordered = np.sort(flat) if ordered is None else ordered
            if flat.size > 3 and np.array_equal(np.sort(theirs), ordered):  # transposed, permuted
                return (self._departure(tensor),)
        return ()

    def _range(self, tensor: Tensor, dtype: Any) -> tuple[Any, Any]:
        found = self._ranges.get(id(tensor))
        if found is None:
            found = (float(tensor._data.min()), float(tensor._data.max()))
            self._ranges[id(tensor)] = found
        return dtype.type(found[0]), dtype.type(found[1])

    def _departure(self, tensor: Tensor) -> Origin:
        for origin in reversed(self.departures):
            if origin.tensor is tensor:
                return origin
        from tinytorch.tracing import place

        return Origin(tensor, "data", place().user)


def owner_of(array: NDArray[Any]) -> Any:
    """The array at the end of the chain of views."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
