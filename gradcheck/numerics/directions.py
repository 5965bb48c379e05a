"""End to end: signed random directions through a parameter tensor, against the whole forward."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.noise import Precision, measured_noise, scale_of
from gradcheck.numerics.replay import Replay
from gradcheck.numerics.threads import spread
from gradcheck.subject import Subject

LARGE = 500_000
"""Entries of all leaves from which on directions are run on several threads."""


class Forward(Protocol):
    """The contracted output as a function of one leaf."""

    evaluations: int
    base: float

    def __call__(self, name: str, values: Array) -> Array:
        """(K,) changes of the scalar for values (K, *shape) of leaf `name`."""


class FrameworkForward:
    """Every evaluation is a forward of the framework itself."""

    def __init__(self, subject: Subject, weights: Array, base: Array) -> None:
        self.subject, self.weights, self.values = subject, weights, base
        self.base = float(np.sum(weights * base))
        self.evaluations = 0

    def __call__(self, name: str, values: Array) -> Array:
        before = self.subject.get(name)
        out = np.empty(len(values))
        try:
            for k, value in enumerate(values):
                self.subject.set(name, value)
                result = self.subject.value(self.subject.forward())
                self.evaluations += 1
                if result.shape != self.values.shape:
                    out[k] = np.nan
                    continue
                change = result.astype(np.float64) - self.values
                out[k] = float(np.sum(self.weights * change))
        finally:
            self.subject.set(name, before)
        return out


class ReplayForward:
    """Evaluations by replaying the tape, `replay.output` being its output."""

    def __init__(self, replay: Replay, weights: Array) -> None:
        self.replay, self.weights = replay, weights
        self.base = float(np.sum(weights * replay.output))
        self.evaluations = 0
        self._lock = threading.Lock()

    def __call__(self, name: str, values: Array) -> Array:
        with self._lock:
            self.evaluations += len(values)
        change = self.replay.run({name: values}) - self.replay.output
        return (change * self.weights).reshape(len(values), -1).sum(axis=-1)


def faithful(subject: Subject, replay: Replay, rng: np.random.Generator) -> bool:
    """Whether the replay follows the framework when every trainable leaf moves at once."""
    before = {n: subject.get(n) for n in subject.leaves}
    moved = {}
    for name, array in before.items():
        if not subject.framework.trainable(subject.leaves[name]):
            continue
        moved[name] = array + 1e-3 * scale_of(array) * rng.uniform(-1, 1, array.shape)
    try:
        for name, array in moved.items():
            subject.set(name, array)
        moved = {n: subject.get(n) for n in moved}  # as the framework keeps them
        value = np.asarray(subject.value(subject.forward()), dtype=np.float64)
    finally:
        for name in moved:
            subject.set(name, before[name])
    again = replay.run({n: a[None] for n, a in moved.items()})[0]
    if value.shape != again.shape:
        return False
    size = float(np.max(np.abs(value))) if value.size else 0.0
    return bool((np.abs(value - again) <= 1e-12 * size).all())


class DirectionLines:
    """Lines along directions through leaves.

    targets: (leaf name, direction of the leaf's shape) per line. values: the leaves' arrays.
    """

    def __init__(
        self,
        forward: Forward,
        values: Mapping[str, Array],
        targets: Sequence[tuple[str, Array]],
        noise: float,
    ) -> None:
        self.forward, self.values, self.targets = forward, values, list(targets)
        self.size = len(self.targets)
        self._noise = noise

    @property
    def evaluations(self) -> int:
        return self.forward.evaluations

    def noise(self) -> Array:
        return np.full(self.size, self._noise)

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        out = np.empty((len(offsets), len(active)))
        ks = np.asarray(offsets)

        def run(column: int) -> None:
            i = active[column]
            name, direction = self.targets[i]
            x = self.values[name]
            steps = (ks * h[i]).reshape(-1, *(1,) * x.ndim)
            out[:, column] = self.forward(name, x + steps * direction)

        if len(active):
            run(0)  # settles how each op takes copies before threads share that knowledge
        spread(run, range(1, len(active)), threads=self._threads(active))
        return out

    def _threads(self, active: Array) -> bool:
        """Whether there is enough to multiply that a second core helps. Only a replay may run on
        several threads; a framework's own forward may not."""
        if not isinstance(self.forward, ReplayForward):
            return False
        return len(active) > 4 and sum(v.size for v in self.values.values()) > LARGE


def noise_of(
    forward: Forward, name: str, value: Array, direction: Array, precision: Precision
) -> float:
    """Measured rounding noise of the scalar: twelve values on a line too short to bend."""
    spacing = precision.data ** (2 / 3) * scale_of(value)
    steps = spacing * np.arange(1, 13).reshape(-1, *(1,) * value.ndim)
    changes = forward(name, value + steps * direction)
    measured = measured_noise(changes) if np.isfinite(changes).all() else 0.0
    return max(measured, precision.data * abs(forward.base), 1e-300)
