"""Ops whose backward is meant to be another than the derivative of their forward.

A straight-through sign, a spike with a smooth surrogate, a reversed gradient: the backward belongs
to another function, the formula. Around the point x0 that is checked, the op is replaced by
`op(x0) + formula(x) - formula(x0)`: the same value there, and the derivative that is meant. So
differences of the whole model agree with its analytic gradient if the backward of the op is that of
the formula and everything else is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, Framework, IsDefined, OneAtATime, OpCall, Output
from gradcheck.phrases import closest, one_line
from gradcheck.probe.stops import same_file
from gradcheck.source.line import Line
from gradcheck.source.text import lines_around

ITSELF = ""
"""Declared under this name: the op of the case."""
IDENTITY = "identity"
"""The formula that returns its first input; it need not be registered."""
MOST = 1 << 22
"""Entries of a Jacobian that is made by pulling back one entry of the result after the other."""
SAME = 1e-9
"""A backward is elementwise when it multiplies its cotangent by the same numbers to this share."""


class SurrogateError(Exception):
    """A formula that cannot stand for an op; the message says why."""


@dataclass(frozen=True)
class Surrogate:
    """What the backward of an op is meant to be: that of `scale` times the formula.

    formula: takes the op's inputs; None for the op's own forward. verified: False to take the
    backward as it is.
    """

    formula: Callable[..., Output] | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    verified: bool = True
    said: str = ""


class Stand:
    """An op call with its surrogate: takes the place of the call on tapes, and in proofs."""

    def __init__(self, call: OpCall, surrogate: Surrogate, framework: Framework) -> None:
        self.call, self.surrogate, self.framework = call, surrogate, framework
        self.name, self.where = call.name, call.where
        self.inputs, self.input_names = call.inputs, call.input_names
        self.needs, self.sources, self.attrs = call.needs, call.sources, call.attrs
        self.defined = call.defined if isinstance(call, IsDefined) else None
        self.may_stack = call.may_stack if isinstance(call, OneAtATime) else True
        self._base: Array | None = None
        self._formula_there: Array | None = None
        self._parts: list[Callable[[Array], Array] | None] | None = None

    def run(self, inputs: Sequence[Any]) -> Array:
        return self.near(inputs, lambda: self.call.run(inputs))

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        """The value of the stand-in, and the op's own pullback."""
        result, pullback = self.call.vjp(inputs)
        return self.near(inputs, lambda: result), pullback

    def near(self, inputs: Sequence[Any], own: Callable[[], Array]) -> Array:
        """What stands for the op at `inputs`. own: gives the op's own result there."""
        if self._base is None:
            self._base = np.array(self.call.run(self.call.inputs))
        base = self._base
        if not self.surrogate.verified:
            return base + self._linear(inputs)
        if self.surrogate.formula is None:
            moved = np.asarray(own()) - base
        else:
            if self._formula_there is None:
                self._formula_there = self.formula(self.call.inputs)
            moved = self.formula(inputs) - self._formula_there
        return np.asarray(base + self.surrogate.scale * moved)

    def try_formula(self) -> None:
        """Raises SurrogateError unless the formula gives a result like the op's."""
        if self.surrogate.formula is None:
            return
        shape = np.shape(self.call.run(self.call.inputs))
        try:
            found = self.formula(self.call.inputs)
        except Exception as error:
            raise SurrogateError(
                f"the formula of {self.name} cannot be applied to its inputs: "
                f"{type(error).__name__}: {one_line(error)}"
            ) from error
        if found.shape != shape:
            raise SurrogateError(
                f"the formula of {self.name} gives a result of shape {list(found.shape)}, "
                f"{self.name} itself one of shape {list(shape)}"
            )
        self._formula_there = found

    def formula(self, inputs: Sequence[Any]) -> Array:
        """Of arrays, None left out."""
        fn, framework = self.surrogate.formula, self.framework
        assert fn is not None
        tensors = [
            framework.leaf(v, trainable=False, dtype=str(v.dtype))
            if isinstance(v, np.ndarray)
            else v
            for v in inputs
            if v is not None
        ]
        return np.asarray(framework.value(fn(*tensors, **self.surrogate.args)), dtype=np.float64)

    # --- a backward that is taken as it is ------------------------------------------------------

    def _linear(self, inputs: Sequence[Any]) -> Array:
        """How the result changes by the op's own backward, to first order."""
        if self._parts is None:
            self._parts = self._jacobians()
        assert self._base is not None
        total = np.zeros(self._base.shape)
        for part, now, there in zip(self._parts, inputs, self.call.inputs):
            if not isinstance(now, np.ndarray) or now.dtype.kind != "f":
                continue
            moved = now - np.asarray(there)
            if part is not None:
                total = total + part(moved)
            elif np.any(moved):
                return np.full(total.shape, np.nan)  # not known: undecided, not right
        return total

    def _jacobians(self) -> list[Callable[[Array], Array] | None]:
        """By input what a change of it does to the result; None where that is not known."""
        result, pullback = self.call.vjp(self.call.inputs)
        rng = np.random.default_rng(0)
        g = rng.standard_normal(result.shape)
        ones, drawn = (
            pullback(np.ones(result.shape, result.dtype)),
            pullback(g.astype(result.dtype)),
        )
        found: list[Callable[[Array], Array] | None] = []
        for slot, needed in enumerate(self.call.needs):
            one, other = ones[slot], drawn[slot]
            if not needed or one is None or other is None:
                found.append(_zero(result.shape))
            elif one.shape == result.shape and np.allclose(other, one * g, SAME, SAME):
                found.append(_times(np.array(one)))
            elif one.size * result.size <= MOST:
                found.append(self._dense(pullback, slot, result))
            else:
                found.append(None)
        return found

    def _dense(
        self, pullback: Callable[[Array], list[Array | None]], slot: int, result: Array
    ) -> Callable[[Array], Array]:
        rows = []
        for i in range(result.size):
            unit = np.zeros(result.size, result.dtype)
            unit[i] = 1.0
            row = pullback(unit.reshape(result.shape))[slot]
            rows.append(np.zeros(0) if row is None else np.array(row).reshape(-1))
        jacobian = np.stack(rows)
        return lambda moved: (jacobian @ moved.reshape(-1)).reshape(result.shape)


def _zero(shape: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda moved: np.zeros(shape)


def _times(factors: Array) -> Callable[[Array], Array]:
    return lambda moved: factors * moved


class Surrogates:
    """The surrogates of one subject. Call it with each call of an op and its result.

    declared: name of an op, or 'file.py:12' of its call or definition -> what is meant. The next
    forward after `anchor` gives the values that the stand-ins start from.
    """

    def __init__(self, declared: Mapping[str, Surrogate], framework: Framework) -> None:
        self.declared, self.framework = dict(declared), framework
        self.seen: dict[str, str | None] = {}
        self.met: Counter[str] = Counter()
        self._stands: dict[tuple[str, int], Stand] = {}
        self._count: Counter[str] = Counter()
        self._fresh, self._noting, self._busy = True, False, False

    def anchor(self) -> None:
        self._stands.clear()
        self._fresh = True

    def begin(self) -> None:
        self._noting, self._fresh = self._fresh, False
        self._count.clear()

    def key_of(self, call: OpCall) -> str | None:
        """The declaration that means this call."""
        defined = call.defined if isinstance(call, IsDefined) else None
        self.seen.setdefault(call.name, None if defined is None else call.where)
        # A place means the user's own ops that are called there, not the framework's.
        at = [] if defined is None else [Line.parse(call.where), Line.parse(defined)]
        return next((w for w in self.declared if _means(w, call.name, at)), None)

    def __call__(self, call: OpCall, result: Array) -> Array:
        """What takes the place of `result`: itself, unless the op has a surrogate."""
        if self._busy:  # the formula is an op too
            return result
        key = self.key_of(call)
        if key is None:
            return result
        number = self._count[key]
        self._count[key] += 1
        if self._noting:
            self.met[key] += 1
            self._stands[key, number] = self._stand(call, key)
            return result
        stand = self._stands.get((key, number))
        if stand is None or np.shape(stand.call.inputs[0]) != np.shape(call.inputs[0]):
            return np.full_like(result, np.nan)  # another way through the program: unknown here
        self._busy = True
        try:
            return stand.near(call.inputs, lambda: result).astype(result.dtype)
        finally:
            self._busy = False

    def standing(self, calls: Sequence[OpCall], *, whole: bool = False) -> list[OpCall]:
        """Recorded calls, with stand-ins for those that have a surrogate. whole: they run through
        the framework, where ops inside them have been replaced already."""
        found: list[OpCall] = []
        for call in calls:
            key = self.key_of(call)
            if key is None or (whole and key in self.met):
                found.append(call)
                continue
            self.met[key] += 1
            found.append(self._stand(call, key))
        return found

    def _stand(self, call: OpCall, key: str) -> Stand:
        """Raises SurrogateError where the formula does not fit the op."""
        stand = Stand(call, self.declared[key], self.framework)
        self._busy = True
        try:
            stand.try_formula()
        finally:
            self._busy = False
        return stand

    def missed(self) -> list[str]:
        """What was declared and never met."""
        return [name for name in self.declared if name not in self.met]

    def suggestion(self, wanted: str) -> str | None:
        """What else may have been meant: a call of the same file near by, or a name alike."""
        line = Line.parse(wanted)
        if line is None:
            return closest(wanted, self.seen)
        calls = [at for at in map(Line.parse, self.seen.values()) if at is not None]
        same = [at for at in calls if same_file(at.file, line.file)]
        near = min(same, key=lambda at: abs(at.line - line.line), default=None)
        return None if near is None else str(near)


def _means(wanted: str, name: str, at: Sequence[Line | None]) -> bool:
    if wanted == name:
        return True
    line = Line.parse(wanted)
    return line is not None and any(
        known is not None and same_file(known.file, line.file) and line.line in lines_around(known)
        for known in at
    )
