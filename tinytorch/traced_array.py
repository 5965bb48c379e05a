"""An ndarray that remembers from which tensors its values came, through numpy's own protocols.

`Tensor.data` hands it out while a `tinytorch.tracing.Tracer` is active. Views, ufuncs and numpy
functions keep the origins; a Python number taken out of it is noted by the tracer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tinytorch.node import Where
    from tinytorch.tensor import Tensor


class Origin(NamedTuple):
    """A tensor whose values left the graph, how (`data`, `item`, ...), and on which line."""

    tensor: Tensor
    how: str
    where: Where


Origins = tuple[Origin, ...]
Note = Callable[[Any, Origins], None]


class TracedArray(np.ndarray):
    """Values of graph tensors outside the graph. `origins` says whose."""

    origins: Origins
    note: Note | None

    def __array_finalize__(self, obj: Any) -> None:
        self.origins = getattr(obj, "origins", ())
        self.note = getattr(obj, "note", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        origins, note = gather((inputs, kwargs))
        out = kwargs.get("out")
        result = getattr(ufunc, method)(*plain(inputs), **plain(kwargs))
        if out is not None:  # in place: what was asked for is what comes back
            for target in out:
                if isinstance(target, TracedArray):
                    target.origins = merge(target.origins, origins)
            return out[0] if len(out) == 1 else out
        return wrap(result, origins, note)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        origins, note = gather((args, kwargs))
        result = func(*plain(args), **plain(kwargs))
        if kwargs.get("out") is not None:
            return kwargs["out"]
        return wrap(result, origins, note)

    def _number(self, value: Any) -> Any:
        if self.note is not None:
            self.note(value, self.origins)
        return value

    def item(self, *args: Any) -> Any:
        return self._number(super().item(*args))

    def tolist(self) -> Any:
        return self._number(super().tolist())

    def __float__(self) -> float:
        return float(self._number(float(np.asarray(self))))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item(), digits)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.item())  # one element: numpy's own scalars can be hashed

    def __reduce__(self) -> Any:  # copies and pickles are plain arrays
        return np.asarray(self).__reduce__()


def traced(array: NDArray[Any], origins: Origins, note: Note | None) -> TracedArray:
    """A view of `array` that carries `origins`."""
    view = array.view(TracedArray)
    view.origins = origins
    view.note = note
    return view


def plain(value: Any) -> Any:
    """The same arguments with every TracedArray as the ndarray that it views."""
    if isinstance(value, TracedArray):
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(plain(v) for v in value)
    if type(value) is dict:
        return {k: plain(v) for k, v in value.items()}
    return value


def gather(value: Any) -> tuple[Origins, Note | None]:
    """The origins of every TracedArray among arguments, each once."""
    if isinstance(value, TracedArray):
        return value.origins, value.note
    origins: Origins = ()
    note: Note | None = None
    if type(value) is dict:
        value = tuple(value.values())
    if type(value) in (tuple, list):
        for item in value:
            more, its_note = gather(item)
            origins = merge(origins, more)
            note = note or its_note
    return origins, note


def merge(a: Origins, b: Origins) -> Origins:
    return a + tuple(o for o in b if all(o.tensor is not p.tensor for p in a)) if a else b


def wrap(result: Any, origins: Origins, note: Note | None) -> Any:
    """Floating results carry the origins on, numbers as arrays without axes."""
    if isinstance(result, TracedArray):
        result.origins = merge(result.origins, origins)
        return result
    if isinstance(result, (np.ndarray, np.floating)):
        array = np.asarray(result)
        return traced(array, origins, note) if array.dtype.kind in "fc" else result
    if type(result) in (tuple, list):
        return type(result)(wrap(r, origins, note) for r in result)
    if isinstance(result, tuple) and hasattr(result, "_fields"):  # np.linalg's named results
        return type(result)(*(wrap(r, origins, note) for r in result))
    return result
