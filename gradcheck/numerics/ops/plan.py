"""Before any op call is checked: which entries of its inputs move together, and what it costs.

A plan follows from the tape alone, not from what is found there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.numerics.ops import sparsity
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.laws import copies
from gradcheck.numerics.ops.local import float64
from gradcheck.numerics.ops.masked import FiniteResults

EVALUATIONS = 3
"""How often a right line is evaluated: nearly always twice, sometimes four times."""


@dataclass(frozen=True)
class Plan:
    """How one input of a call is checked. colouring: entry by entry, those of one colour together;
    None: along random directions. cost: numbers that it will read and write, about."""

    colouring: sparsity.Colouring | None
    cost: float


@dataclass
class Planned:
    """A call before it is checked. masked: whether results that are not finite were left out.

    plans: by input. first: whether it is the first of its kind: how an op reads memory does not
    depend on the values.
    """

    index: int
    call: OpCall
    inputs: list[Any]
    base: Array
    masked: bool
    plans: dict[int, Plan]
    first: bool

    @property
    def cost(self) -> float:
        """Numbers that checking it reads and writes, with a share for the laws."""
        return 10.0 * (self.base.size + 2000) + sum(p.cost for p in self.plans.values())


def plan_calls(
    tape: list[OpCall], rng: np.random.Generator, budget: float
) -> Iterator[Planned | int]:
    """Every call in its turn; only its place where its result is not finite enough to check.

    What a cheap call leaves of its share of the budget is there for the later ones.
    """
    seen: set[str] = set()
    known: dict[Any, Any] = {}
    share = budget / max(len(tape), 1)
    spare = 0.0
    for index, call in enumerate(tape):
        inputs = [float64(v) for v in call.inputs]
        own = copies(inputs)  # an op that writes into its inputs must not corrupt the proof
        with np.errstate(all="ignore"):
            base = np.asarray(call.run(own))
        whole = np.isfinite(base)
        if not whole.any() or np.isnan(base).any():
            yield index
            continue
        if not whole.all():  # masked scores are -inf on purpose
            call, base = FiniteResults(call, whole), np.where(whole, base, 0.0)
        op = BatchedOp(call, own, base)
        plans: dict[int, Plan] = {}
        for slot, value in enumerate(inputs):
            if not call.needs[slot] or not isinstance(value, np.ndarray) or not value.size:
                continue
            made = plans[slot] = plan_input(op, slot, rng, budget=share + spare, known=known)
            spare = max(0.0, spare + share - made.cost) if spare or made.cost < share else 0.0
        kind = str((call.name, tuple(np.ndim(v) for v in inputs), call.attrs.keys()))
        yield Planned(index, call, inputs, base, not whole.all(), plans, kind not in seen)
        seen.add(kind)


def plan_input(
    op: BatchedOp,
    slot: int,
    rng: np.random.Generator,
    *,
    budget: float,
    known: sparsity.Known | None = None,
) -> Plan:
    """Every entry of input `slot`, or random directions when that would cost more than `budget`
    (in numbers read and written)."""
    x = op.inputs[slot]
    cost = float(x.size + op.base.size + 2000)
    if cost * 30 <= budget:
        colouring = sparsity.find(
            lambda v: op.run_many(slot, v).reshape(len(v), -1),
            x,
            op.base.reshape(-1),
            rng,
            known,
            (slot, op.signature),
        )
        if colouring.colours * cost * 4 <= budget:
            return Plan(colouring, EVALUATIONS * colouring.colours * cost)
    return Plan(None, 2 * EVALUATIONS * cost)
