"""The dtypes that kernels are written for, and how a number is rounded to each of them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from gradcheck.numerics.core.arrays import Array

LowDtype = Literal["float32", "float16", "bfloat16"]
LOW_DTYPES: tuple[LowDtype, ...] = get_args(LowDtype)

EPS: dict[str, float] = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}
"""The distance from 1 to the next larger number."""


def quantise(array: Array, dtype: str) -> Array:
    """`array` in float64, each number replaced by the nearest one that `dtype` has (ties to even).

    What is too large for the dtype becomes infinite, as in a cast. Arrays that are not floating
    are returned as they are.
    """
    if array.dtype.kind != "f" or dtype == "float64":
        return array
    with np.errstate(over="ignore"):
        if dtype != "bfloat16":
            return array.astype(dtype).astype(np.float64)
        # numpy has no bfloat16: it is the upper half of a float32
        bits = array.astype(np.float32).view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        kept = np.where(np.isfinite(array), rounded, bits & np.uint32(0xFFFF0000))
        return kept.astype(np.uint32).view(np.float32).astype(np.float64)
