"""End to end: signed random directions through a parameter tensor, against the whole forward."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import Precision, measured_noise, scale_of
from gradcheck.numerics.core.threads import spread
from gradcheck.numerics.end_to_end.point import Point
from gradcheck.numerics.end_to_end.replay import Move, Replay
from gradcheck.probe.subject import Subject

ROOM = 1 << 22
"""Numbers in the perturbed copies of leaves, and in the largest result of an op, of one run."""
FOLLOWS = 1e-12
"""Share of the largest output by which a replay may differ from the framework."""
AWAY = 1e-3
"""How far all leaves are moved to see whether it does, as a share of their size."""
TINIEST = 1e-300
"""Noise is never zero: it is divided by."""
MATTERS = 1e-3
"""A leaf whose whole effect on the result is below this share of the largest effect that a leaf
has need not be seen to a share of its own gradient."""
OF_RESULT, OF_RESULT_ROUNDINGS, MOST_OF_RESULT = 1e-9, 1e5, 1e-2
"""And an effect below this share of the result is none, or in roundings of a coarser dtype."""
REACH = 3 * 2.0**-8
"""The farthest point of a first step along a direction; the scale is rounded to a power of two."""
LARGE = 500_000
"""Entries of all leaves from which on runs are spread over several threads."""

FLOOR, FLOOR_SINGLE = 1e-12, 20.0
"""Share of the largest slope that counts as none: in float64, and in roundings of a coarser dtype.
All leaves go through the same forward, whose rounding follows the largest of them."""
OF_ONE = 64.0
"""Last digits that the difference of a probability and one may lose, both being about 1."""


Target = tuple[str, Array]
"""A leaf's name and a direction of its shape."""


class Forward(Protocol):
    """The contracted output as a function of any leaf."""

    evaluations: int
    base: float
    largest: int
    """Numbers in the largest array that a copy makes; 0 where copies run one after the other."""

    def __call__(self, moves: Sequence[Move]) -> Array:
        """(K of all moves,): changes of the scalar, copy by copy."""


class FrameworkForward:
    """Every evaluation is a forward of the framework itself."""

    def __init__(self, subject: Subject, weights: Array, base: Array) -> None:
        self.subject, self.weights, self.values = subject, weights, base
        self.domain = Domain(subject) if subject.bounds else None
        self.base = float(np.sum(weights * base))
        self.evaluations = self.largest = 0

    def __call__(self, moves: Sequence[Move]) -> Array:
        if self.domain is not None:
            return self.domain.within(moves, self._run)
        return self._run(moves)

    def _run(self, moves: Sequence[Move]) -> Array:
        return np.concatenate([self._leaf(name, values) for name, values in moves])

    def _leaf(self, name: str, values: Array) -> Array:
        before = self.subject.get(name)
        out = np.empty(len(values))
        try:
            for k, value in enumerate(values):
                self.subject.set(name, value)
                self.evaluations += 1
                try:
                    result = self.subject.value(self.subject.forward())
                except Exception:  # a probe outside the domain: unknown there, not wrong
                    out[k] = np.nan
                    continue
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

    def __init__(self, replay: Replay, weights: Array, domain: Domain | None = None) -> None:
        self.replay, self.weights, self.domain = replay, weights, domain
        self.base = float(np.sum(weights * replay.output))
        self.evaluations = 0
        self.largest = replay.largest
        self._lock = threading.Lock()

    def __call__(self, moves: Sequence[Move]) -> Array:
        if self.domain is not None:
            return self.domain.within(moves, self._run)
        return self._run(moves)

    def _run(self, moves: Sequence[Move]) -> Array:
        with self._lock:
            self.evaluations += sum(len(values) for _, values in moves)
        change = self.replay.run(moves) - self.replay.output
        return (change * self.weights).reshape(len(change), -1).sum(axis=-1)


class Domain:
    """What the inputs of a subject may be, at its present values."""

    def __init__(self, subject: Subject) -> None:
        self.bounds = subject.bounds
        self.values = {name: subject.get(name) for name in subject.bounds}

    def within(self, moves: Sequence[Move], run: Callable[[Sequence[Move]], Array]) -> Array:
        """`run` on all copies that lie inside; NaN for the others."""
        lost, kept = [], []
        for name, values in moves:
            out = np.zeros(len(values), bool)
            if name in self.bounds:
                left = self.bounds[name].outside(values, self.values[name])
                out = np.asarray(left.reshape(len(values), -1).any(axis=1))
                values = self.bounds[name].clipped(values, self.values[name])
            lost.append(out)
            kept.append((name, values))
        return np.where(np.concatenate(lost), np.nan, run(kept))


def inside(point: Point, targets: list[Target], reach: float) -> list[Target]:
    """The same directions, so short that points up to `reach` times a leaf's scale stay inside."""
    bounds = point.subject.bounds
    if not bounds:
        return targets
    return [
        (n, bounds[n].shortened(d, point.values[n], reach * point.scales[n]) if n in bounds else d)
        for n, d in targets
    ]


def faithful(point: Point, replay: Replay, rng: np.random.Generator) -> bool:
    """Whether the replay follows the framework when every trainable leaf moves at once."""
    subject = point.subject
    moved = {
        name: x + AWAY * point.scales[name] * rng.uniform(-1, 1, x.shape)
        for name, x in point.values.items()
        if name in point.trainable
    }
    if not moved:
        return True  # there is nothing that it could fail to follow
    try:
        for name, bounds in subject.bounds.items():
            if name in moved:
                moved[name] = bounds.clipped(moved[name], point.values[name])
        for name, array in moved.items():
            subject.set(name, array)
        value = np.asarray(subject.value(subject.forward()), dtype=np.float64)
    except Exception:  # nothing is known there, so nothing that the replay could follow
        return False
    finally:
        for name in moved:
            subject.set(name, point.values[name])
    again = replay.run_together({n: a[None] for n, a in moved.items()})[0]
    if value.shape != again.shape:
        return False
    size = float(np.max(np.abs(value))) if value.size else 0.0
    return bool((np.abs(value - again) <= FOLLOWS * size).all())


def grouped(
    forward: Forward, copies: Sequence[int], sizes: Sequence[int], most: int | None = None
) -> list[list[int]]:
    """Which perturbations to run together: their positions, in order.

    copies: of each perturbation. sizes: entries of the leaf that it perturbs. most: copies in a
    group, as far as there is room for them.
    """
    fitting = ROOM // max(forward.largest, 1)
    most = fitting if most is None else min(most, fitting)
    groups: list[list[int]] = []
    rows = room = 0
    for i, (count, size) in enumerate(zip(copies, sizes)):
        if not groups or rows + count > most or room + count * size > ROOM:
            groups.append([])
            rows = room = 0
        groups[-1].append(i)
        rows += count
        room += count * size
    return groups


@dataclass(frozen=True)
class Directions:
    """Directions through leaves with their analytic slopes.

    norms: the size of a slope, had its terms random signs. steps: the scale of the steps. All but
    `targets` are (n,) arrays.
    """

    targets: list[tuple[str, Array]]
    slopes: Array
    norms: Array
    steps: Array

    @classmethod
    def through(cls, point: Point, targets: list[tuple[str, Array]]) -> Directions:
        parts = [point.gradient(n) * d for n, d in targets]
        return cls(
            targets,
            slopes=np.array([float(p.sum()) for p in parts]),
            norms=np.array([float(np.linalg.norm(p)) for p in parts]),
            steps=np.array([2.0 ** np.round(np.log2(point.scales[n])) for n, _ in targets]),
        )

    def sizes(self, point: Point, precision: Precision) -> Array:
        """(n,): what an error of a slope is relative to: the slope itself, or `MATTERS` of what the
        leaf with the largest effect does when it is moved by its own size. Where no leaf has an
        effect, the result itself takes its place."""
        largest = MATTERS * float(np.max(self.norms * self.steps, initial=0.0))
        result = float(np.linalg.norm(point.weights * point.value))
        share = min(MOST_OF_RESULT, max(OF_RESULT, OF_RESULT_ROUNDINGS * precision.data))
        return np.maximum(self.norms, max(largest, share * result, TINIEST) / self.steps)

    def floor(self, point: Point, precision: Precision) -> float:
        """The absolute error of a slope that counts as none."""
        share = FLOOR if precision.double else FLOOR_SINGLE * precision.gradients
        unit = float(np.max(np.abs(point.weights), initial=0.0))
        unit *= min(1.0, float(self.steps.max())) ** 2
        return max(share * float(self.norms.max()), OF_ONE * precision.gradients * unit)


class DirectionLines:
    """Lines along directions through leaves.

    targets: (leaf name, direction of the leaf's shape) per line. values: the leaves' arrays.
    level: the noise of the scalar; None: measured when the lines first run, along the first of
    them.
    """

    def __init__(
        self,
        forward: Forward,
        values: Mapping[str, Array],
        targets: Sequence[tuple[str, Array]],
        precision: Precision,
        *,
        level: float | None = None,
    ) -> None:
        self.forward, self.values, self.targets = forward, values, list(targets)
        self.size = len(self.targets)
        self.precision, self.level = precision, level

    @property
    def evaluations(self) -> int:
        return self.forward.evaluations

    def noise(self) -> Array:
        return np.full(self.size, self.level or 0.0)

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        out = np.empty((len(offsets), len(active)))
        if not len(active):
            return out
        sizes = [self.values[self.targets[i][0]].size for i in active]
        groups = grouped(self.forward, [len(offsets)] * len(active), sizes)

        def run(group: list[int]) -> None:
            moves = [self._move(active[c], offsets, h) for c in group]
            measures = self.level is None and group is groups[0]
            if measures:
                name, direction = self.targets[0]
                moves.append(noise_move(name, self.values[name], direction, self.precision))
            changes = self.forward(moves)
            if measures:
                self.level = noise_of(changes[-NOISE_POINTS:], self.forward, self.precision)
                changes = changes[:-NOISE_POINTS]
            out[:, group] = changes.reshape(len(group), len(offsets)).T

        spread(run, groups, threads=self._threads())
        return out

    def _move(self, i: int, offsets: tuple[float, ...], h: Array) -> Move:
        name, direction = self.targets[i]
        x = self.values[name]
        steps = (np.asarray(offsets) * h[i]).reshape(-1, *(1,) * x.ndim)
        return name, x + steps * direction

    def _threads(self) -> bool:
        """Whether there is enough to multiply that a second core helps. Only a replay may run on
        several threads; a framework's own forward may not."""
        large = sum(v.size for v in self.values.values()) > LARGE
        return large and isinstance(self.forward, ReplayForward)


NOISE_POINTS = 8
"""Values that the noise is measured from: five third differences."""


def noise_move(name: str, value: Array, direction: Array, precision: Precision) -> Move:
    """Values on a line too short to bend, for `noise_of`."""
    spacing = precision.data ** (2 / 3) * scale_of(value)
    steps = spacing * np.arange(1, NOISE_POINTS + 1).reshape(-1, *(1,) * value.ndim)
    return name, value + steps * direction


def noise_of(changes: Array, forward: Forward, precision: Precision) -> float:
    """Rounding noise of the scalar, measured from its changes along a `noise_move`."""
    measured = measured_noise(changes) if np.isfinite(changes).all() else 0.0
    return max(measured, precision.data * abs(forward.base), TINIEST)
