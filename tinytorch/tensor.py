"""The Tensor: an array, its gradient, and the node of the op that made it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinytorch.errors import GraphError
from tinytorch.methods import Operations

if TYPE_CHECKING:
    from tinytorch.node import Node

default_dtype = np.dtype(np.float32)


def as_array(value: Any, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """An ndarray of `value`. Arrays keep their dtype; Python floats become float32, ints int64."""
    if isinstance(value, Tensor):
        value = value._data
    array = np.asarray(value)
    from_python = not isinstance(value, (np.ndarray, np.generic))
    if dtype is None and from_python and array.dtype == np.float64:
        dtype = default_dtype
    if array.dtype == object:
        raise TypeError(
            f"Tensor() got {type(value).__name__} that numpy cannot turn into numbers; "
            "pass a number, a nested list of equal lengths, or an ndarray"
        )
    return array if dtype is None else array.astype(dtype, copy=False)


class Tensor(Operations):
    """An n-dimensional array that remembers how it was computed.

    `data` is the ndarray (shared with the array passed in, never copied unless the dtype
    changes), `grad` an ndarray of the same shape and dtype or None, `requires_grad` says whether
    `backward` fills `grad`, and `node` is the op call that made this tensor (None for a leaf).

    Floating dtypes other than float32 must be asked for: Python numbers become float32, an
    ndarray keeps its own dtype. Raises TypeError for values that are no numbers, and when
    `requires_grad` is asked of an integer or boolean tensor.
    """

    # `data` is the public name of the slot `_data` (see the end of this class): the same C
    # descriptor, so it costs nothing extra, and a tracer can replace the public name for a while
    # without the engine noticing.
    __slots__ = ("__weakref__", "_data", "grad", "node", "requires_grad")
    _data: NDArray[Any]
    data: NDArray[Any]
    grad: NDArray[Any] | None
    requires_grad: bool
    node: Node | None

    # numpy must not swallow a Tensor: `array * tensor` comes to __rmul__, np.exp(tensor) raises.
    __array_ufunc__ = None

    def __init__(
        self, data: Any, requires_grad: bool = False, dtype: DTypeLike | None = None
    ) -> None:
        self._data = as_array(data, dtype)
        self.grad = None
        self.node = None
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # --- what it is -------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def ndim(self) -> int:
        return self._data.ndim

    def dim(self) -> int:
        return self._data.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of axis `dim`."""
        return self._data.shape if dim is None else self._data.shape[dim]

    def numel(self) -> int:
        return self._data.size

    @property
    def is_leaf(self) -> bool:
        return self.node is None

    def is_floating_point(self) -> bool:
        return bool(np.issubdtype(self._data.dtype, np.floating))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor with no axes; use .item() for its value")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._data)

    def __int__(self) -> int:
        return int(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        return self._data.__index__()

    def __repr__(self) -> str:
        body = np.array2string(self._data, separator=", ", precision=4, prefix="tensor(")
        dtype = "" if self.dtype in (default_dtype, np.int64, np.bool_) else f", dtype={self.dtype}"
        made = f", op={self.node.op.name}" if self.node is not None else ""
        flag = ", requires_grad=True" if self.requires_grad and self.node is None else ""
        return f"tensor({body}{dtype}{made}{flag})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self.requires_grad:
            raise GraphError(
                "numpy was given a tensor that is part of a graph; what numpy computes from it has "
                "no gradient. Use the Tensor's own operations, or .detach() when the cut is meant"
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    # --- out of the graph -------------------------------------------------------------------

    def numpy(self) -> NDArray[Any]:
        """The ndarray itself, shared, outside the graph."""
        return self.data

    def item(self) -> Any:
        """The only element as a Python number. Raises ValueError when there is more than one."""
        if self._data.size != 1:
            raise ValueError(f"item() needs one element; this tensor has shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        return self._data.tolist()

    def detach(self) -> Tensor:
        """A leaf that shares this array and is no part of any graph."""
        return Tensor(self._data)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A leaf with arrays of its own, so that a model can be copied."""
        if self.node is not None:
            raise GraphError(
                f"a tensor made by op {self.node.op.name} cannot be deep-copied, as it would drag "
                "its graph along; copy x.detach(), or use x.clone() to stay in the graph"
            )
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied._data = self._data.copy()
        copied.grad = None if self.grad is None else self.grad.copy()
        copied.node = None
        copied.requires_grad = self.requires_grad
        return copied

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set the flag in place and return self. Only floating tensors can have a gradient."""
        if requires_grad and not np.issubdtype(self._data.dtype, np.inexact):
            raise TypeError(
                f"a tensor of {self.dtype} cannot require a gradient; only floating ones can, "
                "convert it first with .float() or .double()"
            )
        if not requires_grad and self.node is not None:
            raise GraphError(
                f"this tensor was made by op {self.node.op.name}; only a leaf's requires_grad can "
                "be changed. Use .detach() to leave the graph"
            )
        self.requires_grad = requires_grad
        return self

    # --- the backward pass ------------------------------------------------------------------

    def backward(self, cotangent: Any = None, retain_graph: bool = False) -> None:
        """Add d(sum(self * cotangent))/d(leaf) to `grad` of every leaf that requires one.

        cotangent: array or Tensor of this tensor's shape; may be left out for a single element
        (then 1). The graph is freed unless `retain_graph`. Raises GraphError with what to do when
        there is no graph, when it was freed, or when an array it needs was changed in place.
        """
        from tinytorch.autograd import backward

        backward(self, cotangent, retain_graph)


# The public name of the slot. One descriptor, two names: reading `tensor.data` runs the same C code
# as reading `tensor._data`.
Tensor.data = Tensor.__dict__["_data"]

# The ops need Tensor, the methods need the ops: they are loaded once Tensor is there.
import tinytorch.ops  # noqa: E402, F401
