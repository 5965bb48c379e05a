"""The same forward and backward in a low dtype and in float64, at the same quantised inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradcheck.frameworks.nested import replaced
from gradcheck.frameworks.protocol import Array, HasRandomState
from gradcheck.numerics.precision.dtypes import EPS, quantise
from gradcheck.numerics.precision.projection import Pair
from gradcheck.probe.batches import is_array
from gradcheck.probe.subject import Subject

RESULT = "the result"
"""What the output of the forward is called among the leaves."""
WIDE = "float64"
JITTERED = 2
"""In so many draws the effect of rounding the inputs is measured."""
SCALES = (1.0, 8.0, -1.0, 1.0)
"""Factors of the cotangents of successive draws: a backward that clips sees a large one."""
SPARSE = 3
"""Every so many draws, half of the cotangent is zero."""


@dataclass
class Track:
    """One leaf over all draws.

    pairs: the kernel against the right gradient. eager: the reference in the low dtype against
    the same. moved: the right gradient at inputs moved by half a rounding, against itself.
    """

    pairs: list[Pair] = field(default_factory=list)
    eager: list[Pair] = field(default_factory=list)
    moved: list[Pair] = field(default_factory=list)


class WrongShape(Exception):
    """The kernel's result or a gradient has another shape than the reference's."""


class Runs:
    """Draws of a kernel.

    kernel: an op, a function or a model. reference: computes the same, in float64 at least; the
    kernel itself if None. A model that draws random numbers, as dropout does, is put in eval mode:
    two dtypes draw different ones. refused: how many draws the kernel did not take.
    """

    def __init__(self, kernel: Subject, reference: Subject | None, dtype: str) -> None:
        self.kernel, self.reference, self.dtype = kernel, reference, dtype
        self.eval_mode = not kernel.is_op and draws_numbers(kernel.fresh(dtype=dtype))
        self.refused = 0

    def tracks(self, draws: int) -> dict[str, Track]:
        """Every leaf over `draws` draws. Raises what the kernel raises at its declared inputs, and
        WrongShape; inputs of later draws are ours, and those that it refuses are left out."""
        found: dict[str, Track] = {}
        for number in range(draws):
            try:
                self._draw(number, found)
            except WrongShape:
                raise
            except Exception:
                if number == 0:
                    raise
                self.refused += 1
        return found

    def _draw(self, number: int, found: dict[str, Track]) -> None:
        rng = np.random.default_rng([self.kernel.seed, 31, number])
        low, right = self._made(number)
        output = low.forward()
        g, scale = self._cotangent(low, low.value(output), rng, number)
        mine = _run(low, g, scale)
        truth = _run(right, g, scale)
        added: list[tuple[str, str, Pair]] = []
        for name, value in truth.items():
            if name not in mine:
                continue
            if mine[name].shape != value.shape:
                raise WrongShape(
                    f"{name} has shape {list(mine[name].shape)} in {self.dtype}, and "
                    f"{list(value.shape)} in the reference"
                )
            added.append((name, "pairs", Pair(mine[name], value)))
        if self.reference is not None:
            eager = _run(self._like(self.reference, low, self.dtype, number), g, scale)
            added += [(n, "eager", Pair(eager[n], v)) for n, v in truth.items() if n in eager]
        if number < JITTERED:
            moved = _run(self._moved(right, rng), g, scale)
            added += [(n, "moved", Pair(moved[n], v)) for n, v in truth.items()]
        for name, kind, pair in added:
            getattr(found.setdefault(name, Track()), kind).append(pair)

    # --- making the subjects ------------------------------------------------------------------

    def _made(self, number: int) -> tuple[Subject, Subject]:
        """The kernel in the low dtype, and what is right, at the same numbers."""
        wide = self.reference or self.kernel
        if self.kernel.is_op:
            arrays = self._arrays(number)
            low = self.kernel.fresh(dtype=self.dtype, arrays=arrays)
            return low, wide.fresh(dtype=WIDE, arrays=arrays)
        low = self._settled(self.kernel.fresh(dtype=self.dtype, seed=self.kernel.seed + number))
        if number:
            self._vary(low, number)
        return low, self._like(wide, low, WIDE, number)

    def _like(self, other: Subject, low: Subject, dtype: str, number: int) -> Subject:
        """`other` in `dtype` with the very numbers of `low`."""
        if low.is_op:
            get = low.framework.get
            arrays = {n: _double(get(t)) for n, t in low.operands.items()}
            return other.fresh(dtype=dtype, arrays=arrays)
        made = self._settled(other.fresh(dtype=dtype, seed=other.seed + number))
        made.restore({n: _double(a) for n, a in low.state().items()})
        made.batch = made.to_leaves(low.to_arrays(low.batch))
        return made

    def _settled(self, model: Subject) -> Subject:
        if self.eval_mode:
            model.framework.train_mode(model.model, False)
        return model

    def _vary(self, model: Subject, number: int) -> None:
        """Other parameters and another batch, unless another seed has drawn others already."""
        first = self.kernel.fresh(dtype=self.dtype)
        if not all(np.array_equal(model.get(n), first.get(n)) for n in first.parameters):
            return
        rng = self._jitter(number)
        for name in model.parameters:
            model.set(name, smaller(_double(model.get(name)), rng))
        batch = replaced(model.to_arrays(model.batch), is_array, lambda _, a: smaller(a, rng))
        model.batch = model.to_leaves(batch)

    def _jitter(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.kernel.seed, 32, number])

    def _arrays(self, number: int) -> dict[str, Array]:
        """The operands of an op, rounded to the low dtype: the declared ones, drawn anew where the
        subject can, and otherwise made a little smaller each time."""
        made = self.kernel.fresh(seed=self.kernel.seed + number)
        arrays = {n: _double(made.framework.get(t)) for n, t in made.operands.items()}
        first, get = self.kernel.operands, self.kernel.framework.get
        if number and all(np.array_equal(a, get(first[n])) for n, a in arrays.items()):
            rng = self._jitter(number)
            arrays = {n: smaller(a, rng) for n, a in arrays.items()}
        return {n: quantise(a, self.dtype) for n, a in arrays.items()}

    def _moved(self, right: Subject, rng: np.random.Generator) -> Subject:
        """The right subject with every number moved by up to half a rounding."""
        half = EPS[self.dtype] / 2

        def move(array: Array) -> Array:
            if array.dtype.kind != "f":
                return array
            return array * (1 + half * rng.uniform(-1.0, 1.0, array.shape))

        if right.is_op:
            get = right.framework.get
            arrays = {n: move(get(t)) for n, t in right.operands.items()}
            return right.fresh(dtype=WIDE, arrays=arrays)
        moved = self._settled(right.fresh(dtype=WIDE))
        moved.restore({n: move(a) for n, a in right.state().items()})
        batch = replaced(right.to_arrays(right.batch), is_array, lambda _, a: move(a))
        moved.batch = moved.to_leaves(batch)
        return moved

    def _cotangent(
        self, low: Subject, value: Array, rng: np.random.Generator, number: int
    ) -> tuple[Array | None, float]:
        """A random cotangent that the low dtype can hold, and its size. None for a loss."""
        if not low.is_op and value.size == 1:
            return None, 1.0
        scale = SCALES[number % len(SCALES)]
        g = rng.standard_normal(value.shape)
        if number % SPARSE == SPARSE - 1 and g.size > 1:
            g = g * (rng.random(value.shape) < 0.5)
        return quantise(g * scale, self.dtype), scale


def _run(subject: Subject, cotangent: Array | None, scale: float) -> dict[str, Array]:
    """The result, and the gradient of every trainable leaf divided by the cotangent's size."""
    subject.zero_grad()
    output = subject.forward()
    found = {RESULT: _double(subject.value(output))}
    g = cotangent
    if g is not None and g.shape != found[RESULT].shape:
        raise WrongShape(
            f"the result has shape {list(g.shape)} in the low dtype, and "
            f"{list(found[RESULT].shape)} in the reference"
        )
    subject.backward(output, g)
    for name, gradient in subject.grads().items():
        if not subject.framework.trainable(subject.leaves[name]):
            continue
        shape = subject.get(name).shape
        found[name] = np.zeros(shape) if gradient is None else _double(gradient) / scale
    return found


def smaller(array: Array, rng: np.random.Generator) -> Array:
    """Every floating number made smaller by up to an eighth, with its sign kept."""
    if array.dtype.kind != "f":
        return array
    return array * rng.uniform(1 - 2.0**-3, 1.0, array.shape)


def _double(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def draws_numbers(subject: Subject) -> bool:
    """Whether its forward draws from the framework's generator; False where nobody can tell."""
    framework = subject.framework
    if not isinstance(framework, HasRandomState):
        return False
    framework.manual_seed(subject.seed)
    before = framework.random_state()
    subject.forward()
    return framework.random_state() != before
