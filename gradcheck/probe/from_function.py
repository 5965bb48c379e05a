"""A subject from a function of tensors and the arrays to call it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, Framework, Leaf, Output
from gradcheck.probe.domain import Bounds
from gradcheck.probe.subject import Subject


class FunctionSubject(Subject):
    """fn: called with one tensor for each array, in order. arrays: the inputs by name; floating
    ones are differentiated, ints and bools are passed as they are, and so is, beside another one,
    an additive mask: an array with -inf in it, which no step can move. bounds: by input the
    domain that no step leaves."""

    def __init__(
        self,
        fn: Callable[..., Output],
        framework: Framework,
        *,
        arrays: Mapping[str, Array],
        dtype: str = "float64",
        seed: int = 0,
        name: str = "function",
        bounds: Mapping[str, Bounds] | None = None,
    ) -> None:
        super().__init__(framework, name=name, dtype=dtype, seed=seed)
        self._fn = fn
        self._arrays = dict(arrays)
        masks = {n for n, a in arrays.items() if a.dtype.kind == "f" and np.isneginf(a).any()}
        finite = {n for n, a in arrays.items() if a.dtype.kind == "f"} - masks
        self.masks: tuple[str, ...] = tuple(n for n in arrays if n in masks and finite)
        self.bounds = dict(bounds or {})
        self._use_operands(arrays, lambda n: n not in self.masks)

    def _call(self, operands: Mapping[str, Leaf]) -> Output:
        return self._fn(*operands.values())

    def fresh(self, **changes: Any) -> FunctionSubject:
        given = {
            "dtype": self.dtype,
            "seed": self.seed,
            "arrays": self._arrays,
            "name": self.name,
            "bounds": self.bounds,
            **changes,
        }
        given.pop("batch_size", None)  # the arrays are the only batch that there is
        return FunctionSubject(self._fn, self.framework, **given)
