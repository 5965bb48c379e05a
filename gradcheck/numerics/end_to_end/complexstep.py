"""Complex steps: f'(x) = Im f(x + ih) / h, without subtraction and so without rounding noise.

With h = 1e-20 the truncation is far below rounding (Squire and Trapp 1998; Martins 2003). It holds
for functions that are analytic and whose code does not look at real parts alone: abs, max,
comparisons and conjugates break it. Whether it holds here is found by comparing with a real
difference along one random direction of every leaf.
"""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.threads import spread
from gradcheck.numerics.end_to_end.exhaustive import COPIES, chunks
from gradcheck.numerics.end_to_end.replay import Replay

STEP = 1e-20
TOLERANCE = 1e-11
"""Relative to the largest gradient of a leaf: a hundred times what the method reaches."""


class NotAnalytic(Exception):
    """Complex arrays do not go through; the message says which op stops them."""


def along(replay: Replay, weights: Array, name: str, x: Array, directions: Array) -> Array:
    """(n,) slopes along directions (n, *shape of x)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            values = replay.run([(name, x + 1j * STEP * directions)])
        except (TypeError, ValueError, np.exceptions.ComplexWarning) as error:
            raise NotAnalytic(f"complex values of {name} do not pass: {error}") from error
    if values.dtype.kind != "c":
        if replay.downstream(frozenset([name])):
            raise NotAnalytic(f"an op downstream of {name} drops the imaginary part")
        return np.zeros(len(directions))
    return (values.imag * weights).reshape(len(directions), -1).sum(axis=-1) / STEP


def gradient(replay: Replay, weights: Array, name: str, x: Array) -> Array:
    """The gradient of a leaf, shaped like it, K copies at a time."""
    out = np.empty(x.size)

    def run(job: tuple[int, Array]) -> None:
        start, entries = job
        unit = np.zeros((len(entries), x.size))
        unit[np.arange(len(entries)), entries] = 1.0
        out[start : start + len(entries)] = along(
            replay, weights, name, x, unit.reshape(-1, *x.shape)
        )

    jobs = list(chunks(np.arange(x.size), COPIES // 2))
    if jobs:
        run(jobs[0])
    spread(run, jobs[1:], threads=len(jobs) > 4)
    return out.reshape(x.shape)
