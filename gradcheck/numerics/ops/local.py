"""One input of a recorded op call: its entries or random directions as lines, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.arrays import signed
from gradcheck.numerics.core.differences import Precision, scale_of
from gradcheck.numerics.core.kinks import POINTS, Sides, certify, two_sides
from gradcheck.numerics.core.verdict import KINK, OPEN, RIGHT, WRONG, Comparison, Rules, compare
from gradcheck.numerics.ops import sparsity
from gradcheck.numerics.ops.batching import BatchedOp

WIDEST = 3 * 2.0**-7
"""The farthest point of a first step, as a share of the scale of the steps."""
LARGEST_STEPS = 5
"""Steps that a direction is tried with: with all entries moving at once, smaller ones drown in
rounding."""
OF_RESULT = 1e-3
"""The smallest scale of steps, as a share of the result's."""
ROUNDINGS = 64.0
"""Last digits that the arithmetic inside a pullback may lose."""


MATTERS = 1e-3
"""Errors of an entry smaller than this share of the largest one are relative to that share."""


@dataclass
class InputVerdict:
    """What was found about one input of one op call.

    exhaustive: every entry was checked (otherwise random directions). outcome: over entries, or
    over directions.
    """

    call: OpCall
    slot: int
    outcome: Comparison
    exhaustive: bool
    evaluations: int
    entries: int
    lines: OpLines | OpDirections
    h0: Array

    @property
    def sizes(self) -> Array:
        """(n,): what errors are relative to, an entry's gradient or `MATTERS` of the largest."""
        size = np.abs(self.outcome.scale)
        return np.maximum(size, MATTERS * float(np.max(size, initial=0.0)))

    def hidden(self) -> float:
        """How large an error of the whole gradient may be hidden, as a share of it."""
        outcome = self.outcome
        known = np.where(outcome.state == KINK, 0.0, outcome.limit)
        limit = float(np.linalg.norm(known))
        size = float(np.linalg.norm(outcome.analytic))
        if not size:  # nothing to be a share of: decided is enough
            return 0.0 if np.isin(outcome.state, (RIGHT, KINK)).all() else np.inf
        return limit / size if np.isfinite(limit) else np.inf

    @property
    def input_name(self) -> str:
        names = self.call.input_names
        return names[self.slot] if self.slot < len(names) else f"input{self.slot}"


FARTHEST = 1e3
"""The largest step, as a multiple of the typical entry of its own input."""


def steps_of(x: Array, base: Array) -> Array:
    """(entries,): scale of the steps, a power of two near the typical size of the input.

    An input that is much smaller than the result (a tiny residual added to a large stream) is moved
    in proportion to the result: steps of its own size would drown in the rounding. But never by
    more than `FARTHEST` times its own size: one entry exp(40) of the result says nothing about how
    far the others are smooth, and a step of 1e12 leaves the finite range.
    """
    own = scale_of(x)
    size = max(own, min(OF_RESULT * scale_of(base), FARTHEST * own) if np.any(base) else 0.0)
    return np.full(x.size, 2.0 ** np.round(np.log2(size)))


def check_input(
    op: BatchedOp,
    slot: int,
    cotangent: Array,
    analytic: Array,
    rng: np.random.Generator,
    precision: Precision,
    colouring: sparsity.Colouring | None,
) -> InputVerdict:
    """Every entry of input `slot`, those of one colour together; without a colouring two random
    directions through all entries."""
    x = op.inputs[slot]
    flat = np.asarray(analytic, dtype=np.float64).reshape(-1)
    lines: OpLines | OpDirections
    if colouring is not None:
        lines = OpLines(op, slot, cotangent, colouring)
        h0 = steps_of(x, op.base)
        rules = Rules(floor=_floor(lines, flat, float(h0[0]), precision))
        outcome = compare(lines, flat, h0, precision, rules)
        if (outcome.state == OPEN).any():
            certify(lines, outcome, h0, precision)
        if outcome.wrong.size and colouring.colours < x.size:
            _alone(op, slot, cotangent, outcome, precision, rules, h0)
        return InputVerdict(op.call, slot, outcome, True, lines.evaluations, x.size, lines, h0)
    directions = signed(rng, (2, x.size))
    h0 = np.full(2, steps_of(x, op.base)[0])
    if slot in op.bounds:
        reach = WIDEST * float(h0[0])
        directions = op.bounds[slot].shortened(directions, x.reshape(-1), reach)
    lines = OpDirections(op, slot, cotangent, directions)
    sized = np.sqrt((directions * directions) @ (flat * flat))
    rules = Rules(exponents=precision.exponents[:LARGEST_STEPS])
    outcome = compare(lines, directions @ flat, h0, precision, rules, scale=sized)
    if (outcome.state == OPEN).any():
        certify(lines, outcome, h0, precision, may_fail=False)
    return InputVerdict(op.call, slot, outcome, False, lines.evaluations, x.size, lines, h0)


def _floor(lines: OpLines, analytic: Array, scale: float, precision: Precision) -> float:
    """What rounding may leave in an entry: of the largest entry, of the terms in the pullback that
    cancel (a full softmax), and of a probability less one: both are about 1 where x is not small,
    their difference is not."""
    largest = float(np.max(np.abs(analytic), where=np.isfinite(analytic), initial=0.0))
    flow = float(np.max(np.abs(lines.weights * lines.base), initial=0.0)) / scale
    unit = float(np.max(np.abs(lines.weights), initial=0.0)) * min(1.0, scale) ** 2
    return ROUNDINGS * precision.gradients * max(largest, flow, unit)


def _alone(
    op: BatchedOp,
    slot: int,
    cotangent: Array,
    outcome: Comparison,
    precision: Precision,
    rules: Rules,
    h0: Array,
) -> None:
    """Check the worst entries again, one at a time, before anything is said.

    If they turn out right, the sparsity pattern missed something: then all wrong ones are redone.
    """
    whole = OpLines(op, slot, cotangent, sparsity.dense(op.inputs[slot].shape, op.base.size))
    worst = outcome.wrong
    for chosen in (worst[:2], worst):
        part = Some(whole, chosen)
        again = compare(part, outcome.analytic[chosen], h0[chosen], precision, rules)
        certify(part, again, h0[chosen], precision)
        outcome.adopt(chosen, again)
        if (again.state == WRONG).all():
            return


# --- as lines -----------------------------------------------------------------------------------

CACHED_OWNERS = 2_000_000
"""Owner maps are kept when they hold fewer numbers than this."""
ROOM = 1 << 16
"""Numbers in one batch of copies: a few arrays of this size fit a core's cache."""
FIRST_STEP = 2.0**-9
"""A step for a slope of order 4 alone, as a share of the scale of the steps: in float64 its
truncation and its rounding are both small for most functions."""


class OpLines:
    """The entries of one input of an op as lines of  sum(cotangent * op(..., x, ...)).

    Entries of one colour move together; each output belongs to the entry that owns it.
    """

    def __init__(
        self, op: BatchedOp, slot: int, cotangent: Array, colouring: sparsity.Colouring
    ) -> None:
        self.op = op
        self.slot = slot
        self.x: Array = op.inputs[slot]
        self.size = self.x.size
        self.evaluations = 0
        self.base = op.base.reshape(-1)
        self.weights = np.asarray(cotangent, dtype=np.float64).reshape(-1)
        self.colouring = colouring
        self.colour_of = colouring.colour_of
        self._owners: Array | None = None
        if not colouring.dense and colouring.colours * self.base.size <= CACHED_OWNERS:
            self._owners = colouring.owners(np.arange(colouring.colours))
        eps = float(np.finfo(np.float64).eps)
        typical = float(np.mean(np.abs(self.base))) if self.base.size else 0.0
        self._share = (eps * np.abs(self.weights) * (np.abs(self.base) + typical)) ** 2
        self._noise = np.full(self.size, -1.0)

    def noise(self) -> Array:
        """eps * |cotangent| * (|output| + typical output), in quadrature over the outputs that an
        entry moved when it was first run (zero before). Never less than numbers can hold."""
        return np.asarray(np.sqrt(np.maximum(self._noise, 0.0)) + np.finfo(np.float64).tiny)

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        out = np.zeros((len(offsets), self.size))
        for colours, parts in self._changes(offsets, h, active):
            for k in range(len(offsets)):
                out[k] += self._collect(colours, parts[:, k])
        if self.slot in self.op.bounds:
            out[self._outside(offsets, h)] = np.nan
        return out[:, active]

    def _outside(self, offsets: tuple[float, ...], h: Array) -> Array:
        """(offsets, entries): what lies outside the domain."""
        x = self.x.reshape(-1)
        return self.op.bounds[self.slot].outside(x + np.multiply.outer(np.asarray(offsets), h), x)

    def sides(self, h: Array, active: Array) -> Sides:
        """Left and right derivative, output by output: a window of a pooling may be at a tie and
        the next one not, and cotangents of either sign must not mix."""
        full = np.zeros((6, self.size))
        steps = np.append(h, 1.0)  # an output that no entry owns has any step
        for colours, parts in self._changes(POINTS, h, active):
            if self.colouring.dense:
                step = np.broadcast_to(h[self._entries(colours)][:, None], parts[:, 0].shape)
            else:
                step = steps[self._owned(colours)]
            step = np.where(step == 0, 1.0, step)
            for row, value in zip(full, two_sides(parts.swapaxes(0, 1), step)):
                row += self._collect(colours, value)
        found = Sides(*full)
        if self.slot in self.op.bounds:  # to one side of an edge there is nothing
            left_out: Array = np.asarray(self._outside(POINTS, h).reshape(2, 3, -1).any(axis=1))
            for lost, rows in zip(left_out, ((0, 2, 3, 4), (1, 2, 3, 5))):
                for row in rows:
                    full[row][lost] = np.nan
        return Sides(*(row[active] for row in found))

    def _moved(self, change: Array) -> Array:
        """(colours, outputs): the outputs that changed by more than rounding."""
        return np.asarray((change * change > 16 * self._share).any(axis=1))

    def _entries(self, colours: Array) -> Array:
        """For dense colourings, where a colour is an entry."""
        return colours

    def _owned(self, colours: Array) -> Array:
        return self._owners[colours] if self._owners is not None else self.colouring.owners(colours)

    def _collect(self, colours: Array, shares: Array) -> Array:
        """(entries,): the sum of shares (colours, outputs) over the outputs each entry owns."""
        if self.colouring.dense:
            total = np.zeros(self.size)
            total[self._entries(colours)] = shares.sum(axis=-1)
            return total
        owned = self._owned(colours).reshape(-1)
        return np.bincount(owned, weights=shares.reshape(-1), minlength=self.size + 1)[:-1]

    def _changes(
        self, offsets: tuple[float, ...], h: Array, active: Array
    ) -> Iterator[tuple[Array, Array]]:
        """(colours, weighted changes (colours, offsets, outputs)), a batch of colours at a time."""
        ks = np.asarray(offsets)
        moving = np.zeros(self.size)
        moving[active] = h[active]
        colours = (
            np.unique(self.colour_of[active]) if self.colouring.colours > 1 else np.zeros(1, int)
        )
        count = max(1, ROOM // max(self.base.size, self.size, 1) // len(ks))
        for start in range(0, len(colours), count):
            group = colours[start : start + count]
            steps = np.where(self.colour_of == group[:, None], moving, 0.0)  # (colours, entries)
            stack = self.x.reshape(-1) + ks[:, None] * steps[:, None, :]
            stack = self.op.clipped(self.slot, stack.reshape(-1, *self.x.shape))
            results = self.op.run_many(self.slot, stack)
            self.evaluations += len(results)
            change = (results.reshape(len(group), len(ks), -1) - self.base) * self.weights
            if (self._noise[active] < 0).any():
                found = self._collect(group, np.where(self._moved(change), self._share, 0.0))
                # Nothing moved: a change too small to survive rounding looks just like none.
                still = self._collect(group, np.broadcast_to(self._share, change[:, 0].shape))
                found = np.where(found == 0, still, found)
                new = (self._noise < 0) & (np.isin(self.colour_of, group))
                self._noise[new] = found[new]
            yield group, change


class OpDirections:
    """Signed random directions through one input of an op, where its entries cost too much."""

    def __init__(self, op: BatchedOp, slot: int, cotangent: Array, directions: Array) -> None:
        self.op = op
        self.slot = slot
        self.x: Array = op.inputs[slot]
        self.directions = directions  # (n, entries)
        self.size = len(directions)
        self.evaluations = 0
        self.base = op.base.reshape(-1)
        self.weights = np.asarray(cotangent, dtype=np.float64).reshape(-1)

    def noise(self) -> Array:
        eps = float(np.finfo(np.float64).eps)
        typical = float(np.mean(np.abs(self.base))) if self.base.size else 0.0
        share = eps * np.abs(self.weights) * (np.abs(self.base) + typical)
        return np.full(self.size, float(np.sqrt(np.sum(share * share))))

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        out = np.empty((len(offsets), len(active)))
        for column, i in enumerate(active):
            step = h[i] * self.directions[i].reshape(self.x.shape)
            for row, k in enumerate(offsets):
                result = self.op.run_many(self.slot, (self.x + k * step)[None])
                out[row, column] = np.dot(result.reshape(-1) - self.base, self.weights)
                self.evaluations += 1
        return out


class OneOp:
    """One input of one op as a function of it, contracted with a cotangent: a `Forward`."""

    def __init__(self, op: BatchedOp, slot: int, cotangent: Array) -> None:
        self.op, self.slot, self.weights = op, slot, cotangent.reshape(-1)
        self.evaluations = self.largest = 0
        self.base = 0.0

    def __call__(self, moves: Sequence[tuple[str, Array]]) -> Array:
        values = np.concatenate([v for _, v in moves])
        self.evaluations += len(values)
        with np.errstate(all="ignore"):
            results = self.op.run_many(self.slot, values).reshape(len(values), -1)
            return (results - self.op.base.reshape(-1)) @ self.weights


class Some:
    """The lines of a few entries of one input of an op. chosen: (n,) their indices."""

    def __init__(self, lines: OpLines, chosen: Array) -> None:
        self.lines, self.chosen, self.size = lines, chosen, len(chosen)

    @property
    def evaluations(self) -> int:
        return self.lines.evaluations

    def noise(self) -> Array:
        return self.lines.noise()[self.chosen]

    def __call__(self, offsets: tuple[float, ...], h: Array, active: Array) -> Array:
        return self.lines(offsets, self._of_all(h), self.chosen[active])

    def sides(self, h: Array, active: Array) -> Sides:
        return self.lines.sides(self._of_all(h), self.chosen[active])

    def _of_all(self, h: Array) -> Array:
        """Steps of the chosen lines as steps of all."""
        full = np.zeros(self.lines.size)
        full[self.chosen] = h
        return full
