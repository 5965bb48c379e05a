"""Noticing an in-place change of an array that a pullback still needs.

A pullback is a closure: what it needs is in its cells. Of those arrays, the ones that user code
can reach (inputs, the result, views of either) are stamped when the op is recorded and compared
when the pullback is about to run. Arrays up to 16 KiB are stamped whole, larger ones by 512 entries
spread over them, so that training pays microseconds.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WHOLE_BYTES = 16 * 1024
SAMPLES = 512


class Stamp(NamedTuple):
    array: NDArray[Any]
    value: int


def stamps_of(pullback: Any, inputs: list[Any], output: NDArray[Any]) -> list[Stamp]:
    """A stamp for every array in the pullback's closure that is, or views, an input or output."""
    held = _closed_over(pullback)
    within_reach = {id(output), *map(id, inputs)}
    return [
        Stamp(array, checksum(array))
        for key, array in held.items()
        if array.base is not None or key in within_reach
    ]


def changed(stamps: list[Stamp]) -> NDArray[Any] | None:
    """The first array that is not what it was, or None."""
    for array, value in stamps:
        if checksum(array) != value:
            return array
    return None


def checksum(array: NDArray[Any]) -> int:
    """Adler-32 of the bytes, or of 512 evenly spread entries of a large array."""
    if array.nbytes > WHOLE_BYTES:
        step = array.size // SAMPLES
        if array.flags.c_contiguous:
            array = array.reshape(-1)[::step]
        else:
            array = array.flat[::step]
    return zlib.adler32(np.ascontiguousarray(array).data)


def _closed_over(pullback: Any, depth: int = 0) -> dict[int, NDArray[Any]]:
    """Arrays in the cells of functions, by id."""
    found: dict[int, NDArray[Any]] = {}
    for function in pullback if isinstance(pullback, tuple) else (pullback,):
        for cell in getattr(function, "__closure__", None) or ():
            try:
                content = cell.cell_contents
            except ValueError:  # a name that is assigned later, or never
                continue
            if isinstance(content, np.ndarray):
                found[id(content)] = content
            elif isinstance(content, (tuple, list)):
                found.update((id(i), i) for i in content if isinstance(i, np.ndarray))
            elif callable(content) and depth < 2:  # a helper inside the op that closes over arrays
                found.update(_closed_over(content, depth + 1))
    return found
