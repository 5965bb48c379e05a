"""A loss whose output and target are stretched against each other: (B, 1) against (B,)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.checks.lib.capture import Seen
from gradcheck.checks.lib.words import number
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding


def stretched(run: Subject, seen: Sequence[Seen]) -> Finding | None:
    """The first call of the loss that compares every output with every target.

    Only if the loss is another one with both in one shape: a loss may flatten what it is given.
    """
    for call in seen:
        out, target = call.values, call.ids
        if out.shape == target.shape or out.size != target.size or out.size < 2:
            continue
        try:
            wide = np.broadcast_shapes(out.shape, target.shape)
        except ValueError:
            continue
        if int(np.prod(wide)) <= out.size:
            continue
        alike = _in_one_shape(run, call)
        if not alike or any(_same(value, call.value) for value in alike):
            continue
        meant = alike[0]
        shapes = f"{_shape(out.shape)} against {_shape(target.shape)}"
        return Finding(
            code="stretched_loss",
            message=f"the loss stretches outputs and targets, {shapes}, to {_shape(wide)}: every "
            f"output is compared with every target ({number(call.value)} instead of "
            f"{number(meant)})",
            where=call.where,
            analytic=call.value,
            numeric=meant,
            lines=(f"the loss is called at {call.where}",) if call.where else (),
            advice="give both the same shape before the loss: squeeze the output's last axis, or "
            "add one to the target",
        )
    return None


def _in_one_shape(run: Subject, call: Seen) -> list[float]:
    """The loss with both in the shape of the target, and in that of the output, where it takes
    them so."""
    values = []
    for shape in (call.ids.shape, call.values.shape):
        pair = [a.reshape(shape) for a in (call.values, call.ids)]
        leaves = [
            run.framework.leaf(a, trainable=False, dtype=run.dtype if a.dtype.kind == "f" else None)
            for a in pair
        ]
        try:
            values.append(float(np.asarray(run.value(run.loss(*leaves))).reshape(-1)[0]))
        except Exception:  # a loss that wants just the shapes that it got
            continue
    return values


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(abs(one), abs(other))


def _shape(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
