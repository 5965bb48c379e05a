"""Laws that every pullback must obey: it is linear, repeatable and free of side effects.

Neither the result nor the pullback may depend on the memory layout of arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, MayDraw, OpCall
from gradcheck.numerics.ops.pullback import (
    FOLLOWS,
    Breach,
    Parts,
    check_linear,
    copies,
    gap_between,
    pullback_noise,
    pulled,
    resolution,
    size_of,
)

REPEATS = 1e-12
"""Share by which a second call of a pullback may differ: at most a sum in another order."""
LAYOUT = 1e-9
"""Share by which another memory layout may change a result: other loops, other orders of sums."""


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
    with np.errstate(all="ignore"):
        handed_out = list(pullback(g1))
    first = _copied(handed_out)
    if not np.array_equal(g1, cotangent, equal_nan=True):
        breaches.append(
            Breach(
                "mutates",
                "its pullback changes the cotangent in place; every other user of that array "
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
    gap = gap_between(second, first, REPEATS)
    if gap is not None:
        breaches.append(
            Breach(
                "not_repeatable",
                "its pullback gives a different answer for {input} when it is called a second time "
                "with the same cotangent",
                *gap,
                advice="the pullback modifies something that it saved; work on a copy",
            )
        )
        return first, breaches
    other_call = _after_another_call(call, pullback, inputs, cotangent, first)
    if other_call is not None:
        breaches.append(other_call)
        return first, breaches
    if not breaches:
        pulled(pullback, 0.75 * cotangent)
        breaches.extend(_overwritten(handed_out, first))
    # A pullback that drops half of the cotangents by their sign may have had only those.
    if _all_zero(first) and _all_zero(pulled(pullback, -cotangent)):
        return first, breaches
    breaches.extend(check_linear(call, pullback, inputs, result, cotangent, first, rng))
    return first, breaches


def _copied(parts: Sequence[Array | None]) -> Parts:
    return [None if p is None else np.array(p) for p in parts]


def _overwritten(handed_out: Sequence[Array | None], first: Parts) -> Iterator[Breach]:
    """What a pullback has returned belongs to the caller: a later call must not write to it."""
    slot = next(
        (
            i
            for i, (now, then) in enumerate(zip(handed_out, first))
            if now is not None
            and then is not None
            and not np.array_equal(now, then, equal_nan=True)
        ),
        None,
    )
    if slot is not None:
        yield Breach(
            "mutates",
            "its pullback returns for {input} a buffer of its own and writes to it again at the "
            "next call: the gradient returned first changes afterwards",
            slot,
            advice="return a new array at each call, or a copy of the buffer",
        )


MOST = 2**20
"""Entries of inputs above which an op is not called once more on others: the case of the op itself
shows the same at a smaller size."""


def _after_another_call(
    call: OpCall,
    pullback: Callable[[Array], Parts],
    inputs: Sequence[Any],
    cotangent: Array,
    first: Parts,
) -> Breach | None:
    """Check that what a pullback saved survives another call of the op, as in a model that uses
    the op twice."""
    if sum(np.size(v) for v in inputs) > MOST:
        return None
    try:
        result, other = call.vjp([_elsewhere(v) for v in inputs])
        pulled(other, np.array(cotangent))
    except Exception:  # other values are outside the domain: nothing to learn from them
        return None
    if np.shape(result) != np.shape(cotangent):
        return None
    gap = gap_between(pulled(pullback, np.array(cotangent)), first, REPEATS)
    if gap is None:
        return None
    return Breach(
        "not_repeatable",
        "its pullback gives a different answer for {input} after the op has been called on other "
        "inputs: the later call overwrites what the earlier one saved",
        *gap,
        advice="keep what the pullback needs in the call itself (a closure, the context), not in "
        "an attribute, a global or a buffer that the next call fills",
    )


def _elsewhere(value: Any) -> Any:
    """Permute and shrink the entries: they stay in most domains and rarely stay the same."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    return 0.75 * np.roll(value.reshape(-1), 1).reshape(value.shape)


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
    """Check that the same values in other memory layouts give the same result and cotangents."""
    for name, layout in LAYOUTS.items():
        moved = [layout(v) if isinstance(v, np.ndarray) and v.ndim else v for v in copies(inputs)]
        try:
            again, pullback = call.vjp(moved)
            parts = pulled(pullback, layout(cotangent) if cotangent.ndim else cotangent.copy())
        except Exception:  # an op may ask for contiguous memory; it says so and harms nobody
            continue
        if again.shape != result.shape or gap_between([again], [result], LAYOUT) is not None:
            coarse = FOLLOWS * resolution(call, inputs, result)
            if again.shape == result.shape and not gap_between([again], [result], coarse):
                return []  # it rounds inside, and sums in another order round otherwise
            if not _repeats(call, inputs, result) or (isinstance(call, MayDraw) and call.draws()):
                return []  # random numbers are drawn in the order of memory: a dropout mask
            return [
                Breach(
                    "wrong_gradient",
                    f"its result depends on the memory layout of its inputs ({name})",
                    advice="do not read the raw buffer; numpy arrays have strides",
                )
            ]
        gap = gap_between(parts, expected, LAYOUT)
        if gap is not None:
            noise = pullback_noise(call, inputs, cotangent, expected, np.random.default_rng(0))
            scales = [
                0.0 if p is None else size_of(p) + n / LAYOUT for p, n in zip(expected, noise)
            ]
            gap = gap_between(parts, expected, LAYOUT, scales)
        if gap is not None:
            coarse = FOLLOWS * resolution(call, inputs, result)
            gap = gap_between(parts, expected, max(LAYOUT, coarse), scales)
        if gap is not None:
            return [
                Breach(
                    "wrong_gradient",
                    f"its pullback for {{input}} depends on the memory layout ({name}): right for "
                    "contiguous arrays, wrong for this one",
                    *gap,
                    advice="do not read the raw buffer; do not `reshape` a view in another order",
                )
            ]
    return []


def _repeats(call: OpCall, inputs: Sequence[Any], result: Array) -> bool:
    """Whether the op gives the same result for the same inputs in the same layout."""
    again, _ = call.vjp(copies(inputs))
    return again.shape == result.shape and gap_between([again], [result], LAYOUT) is None


def _changed(values: Sequence[Any], before: Sequence[Any]) -> int | None:
    for i, (value, old) in enumerate(zip(values, before)):
        if isinstance(value, np.ndarray) and not np.array_equal(
            value, old, equal_nan=value.dtype.kind in "fc"
        ):
            return i
    return None


def _all_zero(parts: Parts) -> bool:
    return all(p is None or not np.any(p) for p in parts)
