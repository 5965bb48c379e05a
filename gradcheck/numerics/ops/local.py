"""One recorded op at its real inputs: every entry of every input against differences of that op."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.core.arrays import signed
from gradcheck.numerics.core.kinks import certify
from gradcheck.numerics.core.noise import Precision, scale_of
from gradcheck.numerics.core.verdict import WRONG, Comparison, Rules, compare
from gradcheck.numerics.ops import sparsity
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.oplines import OpDirections, OpLines, Some

LARGEST_STEPS = 5
"""Steps that a direction is tried with: with all entries moving at once, smaller ones drown in
rounding."""
OF_RESULT = 1e-3
"""The smallest scale of steps, as a share of the result's."""
ROUNDINGS = 64.0
"""Last digits that the arithmetic inside a pullback may lose."""


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
        certify(lines, outcome, h0, precision)
        if outcome.wrong.size and colouring.colours < x.size:
            _alone(op, slot, cotangent, outcome, precision, rules, h0)
        return InputVerdict(op.call, slot, outcome, True, lines.evaluations, x.size, lines, h0)
    directions = signed(rng, (2, x.size))
    lines = OpDirections(op, slot, cotangent, directions)
    h0 = np.full(2, steps_of(x, op.base)[0])
    sized = np.sqrt((directions * directions) @ (flat * flat))
    rules = Rules(exponents=precision.exponents[:LARGEST_STEPS])
    outcome = compare(lines, directions @ flat, h0, precision, rules, scale=sized)
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


def float64(value: Any) -> Any:
    """Floating arrays as float64, everything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != np.float64:
        return value.astype(np.float64)
    return value
