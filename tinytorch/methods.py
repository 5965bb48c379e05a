"""What a Tensor can do: operators, indexing and methods, each a call of an op. PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

import tinytorch
from tinytorch.errors import GraphError

if TYPE_CHECKING:
    from tinytorch.ops._dims import Dims
    from tinytorch.tensor import Tensor


class Extreme(NamedTuple):
    """What max and min along an axis return."""

    values: Tensor
    indices: Tensor


class Operations:
    """The operations of Tensor, apart from its state so that either reads by itself."""

    __slots__ = ()
    _data: NDArray[Any]

    # --- operators --------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return tinytorch.ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return tinytorch.ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return tinytorch.ops.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return tinytorch.ops.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return tinytorch.ops.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return tinytorch.ops.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return tinytorch.ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return tinytorch.ops.div(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return tinytorch.ops.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return tinytorch.ops.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return tinytorch.ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return tinytorch.ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return tinytorch.ops.neg(self)

    # --- comparisons: boolean tensors outside every graph ------------------------------------

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _compare(np.equal, self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _compare(np.not_equal, self, other)

    def __lt__(self, other: Any) -> Tensor:
        return _compare(np.less, self, other)

    def __le__(self, other: Any) -> Tensor:
        return _compare(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _compare(np.greater, self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _compare(np.greater_equal, self, other)

    def __and__(self, other: Any) -> Tensor:
        return _compare(np.bitwise_and, self, other)

    def __or__(self, other: Any) -> Tensor:
        return _compare(np.bitwise_or, self, other)

    def __invert__(self) -> Tensor:
        return tinytorch.Tensor(np.invert(self._data))

    def __hash__(self) -> int:
        return id(self)

    # --- entries ----------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return tinytorch.ops.getitem(self, index)

    def __setitem__(self: Any, index: Any, value: Any) -> None:
        """Assign into the array. Only for tensors that no graph can depend on."""
        if self.requires_grad or getattr(value, "requires_grad", False):
            raise GraphError(
                "assignment into a tensor has no gradient here, and one of the two requires a "
                "gradient. Build the result with where(), cat() or scatter_add(), or assign to "
                "x.detach() when no gradient is meant"
            )
        self._data[_array(index)] = _array(value)

    def gather(self, dim: int, index: Any) -> Tensor:
        return tinytorch.ops.gather(self, dim, index)

    def scatter_add(self, dim: int, index: Any, src: Any) -> Tensor:
        return tinytorch.ops.scatter_add(self, dim, index, src)

    def masked_fill(self, mask: Any, value: Any) -> Tensor:
        """`value` where the boolean mask holds, this tensor elsewhere."""
        return tinytorch.ops.where(mask, value, self)

    def split(self: Any, split_size: int | list[int], dim: int = 0) -> tuple[Tensor, ...]:
        return tinytorch.ops.split(self, split_size, dim)

    def chunk(self: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return tinytorch.ops.chunk(self, chunks, dim)

    # --- reductions -------------------------------------------------------------------------

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return tinytorch.ops.sum(self, dim, keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return tinytorch.ops.mean(self, dim, keepdim)

    def var(
        self,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Tensor:
        if correction is None:
            correction = int(unbiased)
        return tinytorch.ops.var(self, dim, correction, keepdim)

    def std(
        self,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Tensor:
        return tinytorch.ops.sqrt(self.var(dim, unbiased, keepdim, correction=correction))

    def max(self: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        """The largest entry; with `dim`, (values, indices) along it. See amax for several axes."""
        return _extreme(self, self.argmax, tinytorch.ops.amax, dim, keepdim)

    def min(self: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        """The smallest entry; with `dim`, (values, indices) along it. See amin for several axes."""
        return _extreme(self, self.argmin, tinytorch.ops.amin, dim, keepdim)

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return tinytorch.ops.amax(self, dim, keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return tinytorch.ops.amin(self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The place of the largest entry, as integers; in the flattened tensor when dim is None."""
        return tinytorch.Tensor(np.asarray(np.argmax(self._data, axis=dim, keepdims=keepdim)))

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The place of the smallest entry, as argmax."""
        return tinytorch.Tensor(np.asarray(np.argmin(self._data, axis=dim, keepdims=keepdim)))

    def logsumexp(self, dim: Dims, keepdim: bool = False) -> Tensor:
        return tinytorch.ops.logsumexp(self, dim, keepdim)

    def cumsum(self, dim: int) -> Tensor:
        return tinytorch.ops.cumsum(self, dim)

    def all(self, dim: Any = None) -> Tensor:
        return tinytorch.Tensor(np.asarray(np.all(self._data, axis=dim)))

    def any(self, dim: Any = None) -> Tensor:
        return tinytorch.Tensor(np.asarray(np.any(self._data, axis=dim)))

    # --- shape ------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Tensor:
        return tinytorch.ops.reshape(self, _varargs(shape))

    def view(self, *shape: Any) -> Tensor:
        """As reshape: a view where the layout allows, else a copy."""
        return tinytorch.ops.reshape(self, _varargs(shape))

    def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return tinytorch.ops.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return tinytorch.ops.transpose(self, dim0, dim1)

    def permute(self, *dims: Any) -> Tensor:
        return tinytorch.ops.permute(self, _varargs(dims))

    @property
    def T(self) -> Tensor:  # noqa: N802
        """All axes in reverse order."""
        return tinytorch.ops.permute(self, tuple(range(self._data.ndim))[::-1])

    @property
    def mT(self) -> Tensor:  # noqa: N802
        """The last two axes exchanged."""
        return tinytorch.ops.transpose(self, -2, -1)

    def squeeze(self, dim: Dims = None) -> Tensor:
        return tinytorch.ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return tinytorch.ops.unsqueeze(self, dim)

    def expand(self, *shape: Any) -> Tensor:
        return tinytorch.ops.expand(self, _varargs(shape))

    def flip(self, *dims: Any) -> Tensor:
        return tinytorch.ops.flip(self, _varargs(dims))

    def tril(self, diagonal: int = 0) -> Tensor:
        return tinytorch.ops.tril(self, diagonal)

    def triu(self, diagonal: int = 0) -> Tensor:
        return tinytorch.ops.triu(self, diagonal)

    def contiguous(self: Any) -> Tensor:
        """This tensor; numpy's arrays need no such step."""
        return self

    # --- elementwise ------------------------------------------------------------------------

    def exp(self) -> Tensor:
        return tinytorch.ops.exp(self)

    def log(self) -> Tensor:
        return tinytorch.ops.log(self)

    def log1p(self) -> Tensor:
        return tinytorch.ops.log1p(self)

    def sqrt(self) -> Tensor:
        return tinytorch.ops.sqrt(self)

    def abs(self) -> Tensor:
        return tinytorch.ops.abs(self)

    __abs__ = abs

    def sin(self) -> Tensor:
        return tinytorch.ops.sin(self)

    def cos(self) -> Tensor:
        return tinytorch.ops.cos(self)

    def tanh(self) -> Tensor:
        return tinytorch.ops.tanh(self)

    def sigmoid(self) -> Tensor:
        return tinytorch.ops.sigmoid(self)

    def relu(self) -> Tensor:
        return tinytorch.ops.relu(self)

    def erf(self) -> Tensor:
        return tinytorch.ops.erf(self)

    def pow(self, exponent: Any) -> Tensor:
        return tinytorch.ops.pow(self, exponent)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        return tinytorch.ops.clip(self, min, max)

    clip = clamp

    def softmax(self, dim: int) -> Tensor:
        return tinytorch.ops.softmax(self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        return tinytorch.ops.log_softmax(self, dim)

    def matmul(self, other: Any) -> Tensor:
        return tinytorch.ops.matmul(self, other)

    def clone(self) -> Tensor:
        return tinytorch.ops.clone(self)

    # --- dtype ------------------------------------------------------------------------------

    def to(self: Any, dtype: DTypeLike) -> Tensor:
        """As another dtype (itself when it has it). To a floating one it stays in the graph."""
        wanted = np.dtype(dtype)
        if wanted == self._data.dtype:
            return self
        if wanted.kind not in "fc":
            return tinytorch.Tensor(self._data.astype(wanted))
        return tinytorch.ops.cast(self, wanted)

    type = to

    def float(self) -> Tensor:
        return self.to(np.float32)

    def double(self) -> Tensor:
        return self.to(np.float64)

    def long(self) -> Tensor:
        return self.to(np.int64)

    def bool(self) -> Tensor:
        return self.to(np.bool_)


def _array(value: Any) -> Any:
    """Arrays instead of Tensors, also inside an index tuple."""
    if isinstance(value, tuple):
        return tuple(_array(v) for v in value)
    return value._data if isinstance(value, Operations) else value


def _varargs(values: tuple[Any, ...]) -> Any:
    """f(2, 3) and f((2, 3)) mean the same."""
    return values[0] if len(values) == 1 and isinstance(values[0], (tuple, list)) else values


def _compare(ufunc: Any, a: Any, b: Any) -> Any:
    b = _array(b)
    if not isinstance(b, (np.ndarray, np.generic, int, float, complex)):
        return NotImplemented
    return tinytorch.Tensor(np.asarray(ufunc(a._data, b)))


def _extreme(x: Any, arg: Any, reduce: Any, dim: int | None, keepdim: bool) -> Any:
    if dim is None:
        return reduce(x)
    places = arg(dim, True)
    values = tinytorch.ops.gather(x, dim, places)
    return Extreme(
        values if keepdim else values.squeeze(dim), places if keepdim else places.squeeze(dim)
    )
