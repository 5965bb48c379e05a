"""Inputs of a model, and parts of them, that change neither its loss nor its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.checks.lib.outputs import all_values
from gradcheck.checks.lib.probing import ROUNDINGS
from gradcheck.checks.lib.running import in_eval, inputs_of
from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.batches import Batch, divided, is_array
from gradcheck.probe.subject import NotJudged, Subject
from gradcheck.result import Finding

PIECES = 4
"""Into so many stretches an axis is divided: a part without effect that is smaller is let pass, as
the last entry of a causal mask is."""
LONGEST = 4096
"""Axes longer than this are not looked at."""
TRIES = 2
"""Draws of other values before an input counts as one without effect."""


def idle_inputs(
    subject: Subject, size: int | None, leave: Sequence[int | str]
) -> Iterator[Finding]:
    """Inputs without effect. size: of the batch to run on. leave: inputs that may be idle.

    Looked at in eval mode, beside the initial values: a head that starts at zero hides every input.
    A part counts only where the batch varies in it: padding, and the rim of an image, may be idle.
    What the training step does not hand to the model as it is, is the step's choice.
    """
    if subject.model is None or not subject.batch:
        return
    try:
        look = _Look(subject, size)
    except NotJudged:  # the step calls the model without any tensor
        return
    if not look.works:
        return
    for place, (name, array) in enumerate(look.inputs.items()):
        if name in leave or place in leave or not array.size or array.dtype.kind not in "fiub":
            continue
        if look.idle(name, ...):
            yield _finding(name, f"input {name} of the model{_what(array)}")
            continue
        for axis in range(1, array.ndim):
            found = _idle_part(look, name, array, axis)
            if found:
                yield _finding(name, f"{found} of input {name}")
                break


class _Look:
    """A model beside its initial values, whose inputs can be changed one by one."""

    def __init__(self, subject: Subject, size: int | None) -> None:
        run = in_eval(subject, batch_size=size)
        rng = np.random.default_rng([subject.seed, 17])
        for name in run.parameters:
            array = run.get(name)
            scale = max(float(np.std(array)), 0.1) if array.size else 0.0
            run.set(name, array + 0.3 * scale * rng.standard_normal(array.shape))
        self.run, self.rng = run, rng
        self.arrays = run.to_arrays(run.batch)
        given = inputs_of(run)
        self.inputs = {
            name: array
            for name, array in _inputs(self.arrays).items()
            if any(np.array_equal(array, g) for g in given)
        }
        self.state = run.state()
        base = self._values(self.arrays)
        self.works = base is not None and all(np.isfinite(b).all() for b in base)
        self.base: Sequence[Array] = base or ()

    def idle(self, name: str, where: Any) -> bool:
        """Whether other values in this part of an input never change anything."""
        for _ in range(TRIES):
            other = _other(self.inputs[name], where, self.rng)
            if np.array_equal(other, self.inputs[name]):
                return False  # there are no other values to try
            values = self._values(_with(self.arrays, name, other))
            if values is None or any(map(self._apart, values, self.base)):
                return False
        return True

    def _apart(self, value: Array, base: Array) -> bool:
        if value.shape != base.shape or not np.isfinite(value).all():
            return True
        size = max(float(np.max(np.abs(base), initial=0.0)), 1e-3)
        return bool(np.max(np.abs(value - base), initial=0.0) > ROUNDINGS * self.run.eps * size)

    def _values(self, arrays: Batch) -> list[Array] | None:
        """The loss, and the output where the model can be called with the inputs alone; None where
        these values are refused."""
        run = self.run
        run.batch = run.to_leaves(arrays)
        try:
            run.restore(self.state)
            loss = np.asarray(run.value(run.forward()))
        except Exception:  # a probe of ours: it need not take these values
            return None
        try:
            return [loss, np.asarray(all_values(run, run.predict()))]
        except Exception:  # only its own step can call this model
            return [loss]


def _inputs(batch: Batch) -> dict[str, Array]:
    """The arrays of a batch by name, without those of its target."""
    inputs = divided(batch)[0] if isinstance(batch, Mapping) else batch[:-1]
    return dict(parts(inputs, is_array)) if not is_array(inputs) else {}


def _with(batch: Batch, name: str, array: Array) -> Batch:
    return replaced(batch, is_array, lambda at, old: array if at == name else old)


def _other(array: Array, where: Any, rng: np.random.Generator) -> Array:
    """A copy with other values in a part: of the batch's own for ids, flipped for a mask."""
    changed = array.copy()
    part = changed[where]
    if array.dtype.kind == "b":
        changed[where] = ~part
    elif array.dtype.kind in "iu":
        known = np.unique(array)
        if len(known) > 1:
            step = int(rng.integers(1, len(known)))
            changed[where] = known[(np.searchsorted(known, part) + step) % len(known)]
        else:
            changed[where] = np.where(part > 0, part - 1, part + 1)
    else:
        finite = array[np.isfinite(array)]
        scale = float(np.std(finite)) if finite.size else 0.0
        noise = (scale or 1.0) * rng.standard_normal(part.shape)
        changed[where] = np.where(np.isfinite(part), part + noise, 0.0)
    return changed


def _idle_part(look: _Look, name: str, array: Array, axis: int) -> str | None:
    """The stretches along an axis that have no effect, in words."""
    length = array.shape[axis]
    if not 2 <= length <= LONGEST:
        return None
    others = tuple(i for i in range(array.ndim) if i != axis)
    with np.errstate(invalid="ignore"):
        varies = np.any(array != np.take(array, [0], 0), axis=others)
    varying = np.flatnonzero(varies)
    if len(varying) < 2:
        return None
    idle: list[int] = []
    for piece in np.array_split(varying, min(PIECES, len(varying))):
        if look.idle(name, (*[slice(None)] * axis, piece)):
            idle += piece.tolist()
    if not idle and len(varying) >= 4:
        for piece in (varying[::2], varying[1::2]):
            if look.idle(name, (*[slice(None)] * axis, piece)):
                idle += piece.tolist()
    if len(idle) * PIECES < length:
        return None
    first = ", ".join(map(str, idle[:4])) + (", ..." if len(idle) > 4 else "")
    entries = "1 entry" if len(idle) == 1 else f"{len(idle)} entries"
    return f"{entries} of {length} along axis {axis} ({first})"


def _what(array: Array) -> str:
    binary = array.dtype.kind == "b" or set(np.unique(array).tolist()) <= {0, 1}
    shape = "x".join(map(str, array.shape))
    return f" ({shape}{', a mask' if binary else ''})"


def _finding(name: str, what: str) -> Finding:
    has = "have" if what[0].isdigit() and not what.startswith("1 ") else "has"
    return Finding(
        code="idle_input",
        message=f"{what} {has} no effect: other values there change neither the loss nor the "
        "output",
        advice="look for where the forward drops it: an argument that is not passed on, a slice, a "
        "mask of the wrong shape; if it is meant to be unused, name it under `unused_inputs:` of "
        "this check",
        data={"input": name},
    )
