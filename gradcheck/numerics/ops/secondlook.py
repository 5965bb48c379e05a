"""A second look before an entry of an op's input is accused: with steps of the entry's own size.

All entries of an input are moved by steps of its typical size. An entry a million times smaller, or
one in a much steeper place, varies within such a step: the slope there is not its derivative. This
is cheap, for only what was accused is looked at.
"""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.differences import Precision
from gradcheck.numerics.core.kinks import certify
from gradcheck.numerics.core.resolution import settle
from gradcheck.numerics.core.verdict import KINK, OPEN, RIGHT, UNSURE, WRONG, Comparison, compare
from gradcheck.numerics.ops import sparsity
from gradcheck.numerics.ops.local import InputVerdict, OpLines, Some

NEAR = 0.1
"""An estimate agrees with the analytic value when it lies within this share of the accuser's
disagreement. Its own noise must be less than that too, or a wrong value would agree by chance."""
SHORT = 2.0**-12
"""Steps, as a share of the usual ones, for waves so short that these go over whole numbers of
them."""
FAR = 2.0**-10
"""An entry of this share of the steps' scale varies within most of them."""
OTHER = 2.0
"""Steps that differ by less than this power of two show nothing new."""
MOST = 2048
"""More wrong entries than this do not come from the size of the steps."""


def acquit_entries(verdict: InputVerdict, precision: Precision) -> None:
    """Compare the wrong entries of one input of an op again, each with steps of its own size, and
    clear what agrees sharply. In place."""
    outcome, lines = verdict.outcome, verdict.lines
    wrong = outcome.wrong[:MOST]
    if not isinstance(lines, OpLines) or not wrong.size:
        return
    wrong = _at_kinks(verdict, lines, wrong, precision)
    own = np.abs(lines.x.reshape(-1))
    usable = own[(own > 0) & np.isfinite(own)]
    if not usable.size:
        return
    quantiles = np.quantile(usable, (0.5, 0.25, 0.75, 0.1, 0.9, 0.0))
    rows = np.median(np.abs(np.atleast_1d(lines.x)), axis=-1, keepdims=True)
    row = np.broadcast_to(rows, np.atleast_1d(lines.x).shape).reshape(-1)
    short = verdict.h0 * SHORT
    for level in (own, row, *(np.full(own.shape, q) for q in (1.0, *quantiles)), short):
        h0 = np.exp2(np.round(np.log2(np.where(level > 0, level, 1.0))))
        for chosen in (wrong[:2], wrong[2:]):
            other = np.abs(np.log2(h0 / verdict.h0)[chosen]) >= OTHER
            if not _again(verdict, lines, chosen[other], h0, precision):
                break
        wrong = wrong[outcome.state[wrong] == WRONG]
        if not wrong.size:
            return
    _confirm(verdict, lines, wrong[own[wrong] > 0], own, precision)


def decide_small_entries(verdict: InputVerdict, precision: Precision) -> None:
    """Look again at undecided entries far smaller than the steps, which often lead them out of the
    op's domain, with steps of their own size. What agrees then is right. In place."""
    outcome, lines = verdict.outcome, verdict.lines
    open_ = np.flatnonzero(np.isin(outcome.state, (OPEN, UNSURE)))[:MOST]
    if not isinstance(lines, OpLines) or not open_.size:
        return
    own = np.abs(lines.x.reshape(-1))
    chosen = open_[(own[open_] > 0) & (own[open_] < verdict.h0[open_] * FAR)]
    if not chosen.size:
        return
    h0 = np.exp2(np.round(np.log2(np.where(own > 0, own, 1.0))))
    again = _one_by_one(lines, chosen, outcome.analytic, h0, precision)
    right = again.state == RIGHT
    outcome.adopt(chosen[right], again, right)


def _confirm(
    verdict: InputVerdict, lines: OpLines, wrong: Array, own: Array, precision: Precision
) -> None:
    """Entries far smaller than the steps that accused them are wrong only when steps of their own
    size say so too; otherwise nothing is known of them. In place."""
    far = wrong[own[wrong] < verdict.h0[wrong] * FAR]
    if not far.size:
        return
    h0 = np.exp2(np.round(np.log2(np.where(own > 0, own, 1.0))))
    again = _one_by_one(lines, far, verdict.outcome.analytic, h0, precision)
    doubtful = far[again.state != WRONG]
    verdict.outcome.state[doubtful] = UNSURE
    verdict.outcome.limit[doubtful] = np.inf


def _at_kinks(verdict: InputVerdict, lines: OpLines, wrong: Array, precision: Precision) -> Array:
    """Certify accused entries at kinks; those that stay wrong. Where one entry has several outputs
    at kinks and cotangents of either sign, their bends may cancel and look smooth together."""
    outcome = verdict.outcome
    before = outcome.numeric[wrong]
    outcome.state[wrong] = OPEN
    certify(lines, outcome, verdict.h0, precision)
    stays = outcome.state[wrong] != KINK
    outcome.state[wrong[stays]] = WRONG
    outcome.numeric[wrong[stays]] = before[stays]
    return wrong[stays]


def _again(
    verdict: InputVerdict, lines: OpLines, chosen: Array, h0: Array, precision: Precision
) -> bool:
    """Whether any of the `chosen` entries is right with steps h0; those are noted so."""
    if not chosen.size:
        return False
    outcome = verdict.outcome
    again = _one_by_one(lines, chosen, outcome.analytic, h0, precision)
    gap = np.abs(outcome.numeric - outcome.analytic)[chosen]
    right = (again.state == RIGHT) & (again.limit < NEAR * gap)
    outcome.adopt(chosen[right], again, right)
    return bool(right.any())


def _one_by_one(
    lines: OpLines, chosen: Array, analytic: Array, h0: Array, precision: Precision
) -> Comparison:
    """The verdict on `chosen` entries, one at a time, with other steps. analytic, h0: of all."""
    dense = sparsity.dense(lines.op.inputs[lines.slot].shape, lines.op.base.size)
    whole = OpLines(lines.op, lines.slot, lines.weights, dense)
    return compare(Some(whole, chosen), analytic[chosen], h0[chosen], precision)


# --- an op that rounds: judged by the slope of its stairs --------------------------------------

FIRST = 8
"""So many entries are looked at; only where one of these is rough, all are."""


def settle_rough_entries(verdict: InputVerdict, chosen: Array) -> None:
    """Look again at the `chosen` entries (or directions), in place.

    Not at those of which the pullback says zero: `floor` of a thousand has the stairs of a
    bfloat16, and it is meant to be flat.
    """
    outcome, lines = verdict.outcome, verdict.lines
    chosen = chosen[outcome.analytic[chosen] != 0]
    h0, size = verdict.h0, verdict.sizes
    if verdict.exhaustive:
        # Numbers are rounded in proportion to themselves.
        with np.errstate(all="ignore"):
            own = np.exp2(np.round(np.log2(np.abs(np.asarray(lines.x).reshape(-1)))))
        h0 = np.where(np.isfinite(own), np.maximum(h0, own), h0)
    worst = np.argsort(-np.abs(outcome.analytic[chosen]), kind="stable")
    first, rest = chosen[worst[:FIRST]], chosen[worst[FIRST:]]
    if settle(lines, outcome, h0, size, first).size:
        settle(lines, outcome, h0, size, rest)
