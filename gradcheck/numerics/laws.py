"""What every pullback must be besides right: linear, repeatable, and without side effects.

Also that neither the result nor the pullback depends on how arrays lie in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, OpCall

Parts = list[Array | None]


@dataclass(frozen=True)
class Breach:
    """A law that a pullback breaks. slot: the input concerned, None for the op as a whole."""

    code: str
    message: str
    slot: int | None = None
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    advice: str | None = None


def copies(values: Sequence[Any]) -> list[Any]:
    return [np.array(v) if isinstance(v, np.ndarray) else v for v in values]


def pulled(pullback: Callable[[Array], Parts], g: Array) -> Parts:
    with np.errstate(all="ignore"):
        return [None if p is None else np.array(p) for p in pullback(g)]


def check_laws(
    call: OpCall, inputs: Sequence[Any], cotangent: Array, rng: np.random.Generator
) -> tuple[Parts, list[Breach]]:
    """(cotangents of the inputs for `cotangent`, breaches). `inputs` are not changed."""
    given = copies(inputs)
    own = copies(inputs)
    breaches: list[Breach] = []
    result, pullback = call.vjp(own)
    result_before = np.array(result)
    if _changed(own, given) is not None:
        breaches.append(
            Breach(
                "mutates", "its forward changes its input {input} in place", _changed(own, given)
            )
        )
        own = copies(inputs)
        result, pullback = call.vjp(own)
    g1 = np.array(cotangent)
    first = pulled(pullback, g1)
    if not np.array_equal(g1, cotangent, equal_nan=True):
        breaches.append(
            Breach(
                "mutates",
                "its pullback changes the cotangent in place; whoever else receives that array "
                "gets a wrong gradient",
                advice="write `g = g * ...`, not `g *= ...`",
            )
        )
    slot = _changed(own, given)
    if slot is not None:
        breaches.append(Breach("mutates", "its pullback changes its input {input} in place", slot))
    elif not np.array_equal(result, result_before, equal_nan=True):
        breaches.append(Breach("mutates", "its pullback changes the result of the op in place"))
    second = pulled(pullback, np.array(cotangent))
    gap = _gap(second, first, 1e-12)
    if gap is not None:
        breaches.append(
            Breach(
                "not_repeatable",
                "its pullback gives another answer for {input} when it is called a second time "
                "with the same cotangent",
                *gap,
                advice="the pullback changes something that it saved; make a copy first",
            )
        )
        return first, breaches
    if _all_zero(first):
        return first, breaches
    other = np.where(rng.random(result.shape) < 0.5, -1.0, 1.0) * rng.uniform(
        2.0, 8.0, result.shape
    )
    a, b = -3.0, 0.25
    # A saturated softmax has gradients that are nothing but the rounding of larger numbers.
    rounding = 1e-4 * _size(other) * _size(result)
    apart = pulled(pullback, other.copy())
    mixed = pulled(pullback, a * cotangent + b * other)
    expected: Parts = [
        None if p is None or q is None else a * p + b * q for p, q in zip(first, apart)
    ]
    scales = [
        0.0
        if p is None or q is None
        else 3 * _size(p)
        + 0.25 * _size(q)
        + rounding / _typical(v)
        + 1.4e-5 * _size(other) * min(1.0, _typical(v)) ** 2  # of a probability less one
        for p, q, v in zip(first, apart, inputs)
    ]
    gap = _gap(mixed, expected, 1e-9, scales)
    if gap is not None:
        breaches.append(
            Breach(
                "not_linear",
                "its pullback is not linear in the cotangent: vjp(a*g1 + b*g2) differs from "
                "a*vjp(g1) + b*vjp(g2) for {input}",
                *gap,
                advice="a pullback multiplies the cotangent by the Jacobian and does nothing else "
                "to it: no relu, abs, sign, clip or normalisation of g",
            )
        )
    return first, breaches


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "every second entry of a larger array": lambda x: _strided(x),
    "a reversed view": lambda x: np.flip(np.flip(x).copy()),
}


def _strided(x: Array) -> Array:
    room = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    room[..., ::2] = x
    return room[..., ::2]


def check_layouts(
    call: OpCall, inputs: Sequence[Any], result: Array, cotangent: Array, expected: Parts
) -> list[Breach]:
    """The same values in other memory layouts must give the same result and cotangents."""
    for name, layout in LAYOUTS.items():
        moved = [layout(v) if isinstance(v, np.ndarray) and v.ndim else v for v in copies(inputs)]
        again, pullback = call.vjp(moved)
        if again.shape != result.shape or _gap([again], [result], 1e-9) is not None:
            return [
                Breach(
                    "wrong_gradient",
                    f"its result depends on the memory layout of its inputs ({name})",
                    advice="do not read the raw buffer; numpy arrays have strides",
                )
            ]
        gap = _gap(
            pulled(pullback, layout(cotangent) if cotangent.ndim else cotangent.copy()),
            expected,
            1e-9,
        )
        if gap is not None:
            return [
                Breach(
                    "wrong_gradient",
                    f"its pullback for {{input}} depends on the memory layout ({name}): right for "
                    "contiguous arrays, wrong for this one",
                    *gap,
                    advice="do not read the raw buffer or `reshape` a view in another order",
                )
            ]
    return []


def _changed(values: Sequence[Any], before: Sequence[Any]) -> int | None:
    for i, (value, old) in enumerate(zip(values, before)):
        if isinstance(value, np.ndarray) and not np.array_equal(
            value, old, equal_nan=value.dtype.kind in "fc"
        ):
            return i
    return None


def _all_zero(parts: Parts) -> bool:
    return all(p is None or not np.any(p) for p in parts)


def _typical(value: Any) -> float:
    return max(_size(np.asarray(value)), 1e-300) if isinstance(value, np.ndarray) else 1.0


def _size(part: Array) -> float:
    finite = np.abs(part[np.isfinite(part)])
    return float(finite.max()) if finite.size else 0.0


def _gap(
    got: Parts, expected: Parts, relative: float, scales: Sequence[float] | None = None
) -> tuple[int, tuple[int, ...], float, float] | None:
    """(slot, index, got, expected) of the worst difference, or None when all agree."""
    for slot, (part, want) in enumerate(zip(got, expected)):
        if part is None or want is None:
            if (part is None) != (want is None):
                present = part if want is None else want
                if present is not None and np.any(present):
                    return slot, (0,) * present.ndim, 0.0, 0.0
            continue
        if part.shape != want.shape:
            return slot, (0,) * part.ndim, 0.0, 0.0
        if not part.size:
            continue
        scale = _size(want) if scales is None else scales[slot]
        eps = 1e-12 if part.dtype == np.float64 else 1e-4
        with np.errstate(all="ignore"):
            apart = np.abs(part - want)
            fine = (apart <= max(relative, eps) * scale + 1e-300) | (part == want)
            fine |= ~np.isfinite(part) | ~np.isfinite(want)
        if not fine.all():
            flat = int(np.argmax(np.where(fine, -1.0, apart)))
            index = tuple(int(i) for i in np.unravel_index(flat, part.shape))
            return slot, index, float(part[index]), float(want[index])
    return None
