"""Parameter: a tensor that a Module trains."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from tinytorch.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that requires a gradient and that a `Module` finds among its attributes.

    data: what `Tensor` takes; the array is shared, not copied, unless `dtype` changes it. Raises
    TypeError for integers with `requires_grad` left True. A plain Tensor attribute of a module is
    no parameter, with or without `requires_grad`.
    """

    __slots__ = ()

    def __init__(
        self, data: Any, requires_grad: bool = True, dtype: DTypeLike | None = None
    ) -> None:
        super().__init__(data, requires_grad, dtype)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
