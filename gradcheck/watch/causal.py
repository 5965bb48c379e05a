"""Does a language model see the very tokens that it is to predict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.checks.lib.words import number
from gradcheck.frameworks.protocol import Array, Framework
from gradcheck.result import Finding
from gradcheck.watch.data import shares_of, text_of_step
from gradcheck.watch.look import Diary
from gradcheck.watch.session import ModelCall

SHARE = 0.95
"""Share of targets that must be the next input before the model has to be causal."""
NOISE = 100.0
"""Differences up to so many times those of two equal runs are rounding."""
ROUNDING = 1e-4
"""The same relative to the size of the outputs: sums in float32 change order with the values."""


def of_causality(diary: Diary) -> Iterator[Finding]:
    """Change the later half of the ids: earlier outputs must stay. The model is used up."""
    text = text_of_step(diary.steps[-1]) if diary.steps else None
    if text is None or diary.last_call is None:
        return
    ids, called = text
    if shares_of(ids, called.target).get(1, 0.0) < SHARE:
        return
    framework, call = diary.last_call
    at = diary.steps[-1].fed[-1].at
    framework.train_mode(call.model, False)
    first, again = (_outputs(framework, call, ids) for _ in range(2))
    if first is None or again is None:
        return
    half = ids.shape[1] // 2
    other = ids.copy()
    known = np.unique(ids)
    rng = np.random.default_rng(0)
    other[:, half:] = rng.choice(known, other[:, half:].shape)
    changed = _outputs(framework, call, other)
    if changed is None or len(known) < 2:
        return
    size = float(np.max(np.abs(first)))
    allowed = NOISE * float(np.max(np.abs(first - again))) + ROUNDING * max(size, 1e-6)
    apart = np.max(np.abs(changed - first), axis=(0, 2))[:half]
    if not apart.size or not np.isfinite(apart).all() or apart.max() <= allowed:
        return
    worst = int(apart.argmax())
    yield Finding(
        code="not_causal",
        message=f"the model sees the tokens that it is to predict: other ids from position {half} "
        f"on change the output at position {worst} by {number(float(apart.max()))} (outputs are up "
        f"to {number(size)})",
        where=None if at is None else str(at),
        advice="look at the mask of attention (a triangle with the diagonal, no more), and for "
        "what mixes positions: a normalisation, a pooling or a convolution over time",
    )


def _outputs(framework: Framework, call: ModelCall, ids: Array) -> Array | None:
    """The output (batch, time, classes) for other ids; None where the call cannot be made again."""
    placed = False

    def given(value: Any) -> Any:
        nonlocal placed
        if placed or not hasattr(value, "shape") or tuple(value.shape) != ids.shape:
            return value
        if np.asarray(framework.value(value)).dtype.kind not in "iu":
            return value
        placed = True
        if isinstance(value, np.ndarray):
            return ids.astype(value.dtype)
        copy = value.clone()
        framework.set(copy, ids)
        return copy

    args = [given(value) for value in call.args]
    kwargs = {name: given(value) for name, value in call.kwargs.items()}
    if not placed:
        return None
    output = framework.forward(lambda: call.model(*args, **kwargs), seed=0)
    if isinstance(output, dict):
        output = list(output.values())
    elif not isinstance(output, (list, tuple)) and not hasattr(output, "shape"):
        output = list(vars(output).values())
    for value in output if isinstance(output, (list, tuple)) else [output]:
        if hasattr(value, "shape") and len(value.shape) == 3:
            array = np.asarray(framework.value(value))
            if array.shape[:2] == ids.shape and array.dtype.kind == "f":
                return array.astype(np.float64)
    return None
