"""A subject from a function of tensors and the arrays to call it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, Framework, Leaf, Output, TakesComplex
from gradcheck.probe.domain import Bounds
from gradcheck.probe.subject import Subject


class FunctionSubject(Subject):
    """fn: called with one tensor for each array, in order. arrays: the inputs by name; floating
    ones are differentiated, ints and bools are passed as they are, and so is, beside another one,
    an additive mask: an array with -inf in it, which no step can move. bounds: by input the
    domain that no step leaves. A complex array becomes a real input of real and imaginary parts,
    along one more axis of two at the end; the function gets it as a complex tensor. The framework
    must be able to (`TakesComplex`)."""

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
        self.complex = {n for n, a in arrays.items() if a.dtype.kind == "c"}
        arrays = {n: parted(a) if n in self.complex else a for n, a in arrays.items()}
        masks = {n for n, a in arrays.items() if a.dtype.kind == "f" and np.isneginf(a).any()}
        finite = {n for n, a in arrays.items() if a.dtype.kind == "f"} - masks
        self.masks: tuple[str, ...] = tuple(n for n in arrays if n in masks and finite)
        self.bounds = dict(bounds or {})
        self._use_operands(arrays, lambda n: n not in self.masks)

    def _call(self, operands: Mapping[str, Leaf]) -> Output:
        if not self.complex or not isinstance(self.framework, TakesComplex):
            return self._fn(*operands.values())
        whole = self.framework.as_complex
        return self._fn(*(whole(t) if n in self.complex else t for n, t in operands.items()))

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


def parted(array: Array) -> Array:
    """(*shape, 2): the real and imaginary parts of a complex array."""
    return np.stack([array.real, array.imag], axis=-1)
