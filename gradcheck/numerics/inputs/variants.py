"""Derives further inputs for an op case, to show what the declared ones cannot.

A fault often needs a special input to be seen: a batch of 1 or 3 (a mean not divided by the batch),
sides that differ (a missing transpose) or agree (a wrong axis), an axis of size 1, or one longer
than any block of a loop, an even or odd length, repeated indices, ties, zeros, large and small
values, another number in place of a default argument. A variant that the
op refuses with an exception, or whose value is not finite, is dropped and counted: an op need not
take everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.inputs import variant_shapes as shapes
from gradcheck.numerics.inputs.variant_arguments import other_arguments
from gradcheck.numerics.inputs.variant_shapes import Arrays, Candidate, Specs, spec_of
from gradcheck.yamlcases.case import InputSpec
from gradcheck.yamlcases.inputs import draw as draw

VariantName = Literal[
    "batch1",
    "batch3",
    "square",
    "nonsquare",
    "broadcast",
    "repeated",
    "ties",
    "zeros",
    "large",
    "huge",
    "small",
    "layout",
    "single",
    "long",
    "parity",
    "arguments",
]
NAMES: tuple[VariantName, ...] = get_args(VariantName)
"""Every kind of variant, in the order in which they are tried."""

HUGE = 150.0
"""The exponential of most values of this size overflows in single but not in double precision."""


NO_ARGS: Mapping[str, object] = {}


def derive(
    specs: Specs,
    arrays: Mapping[str, Array],
    rng: np.random.Generator,
    wanted: Callable[[VariantName], bool] = lambda name: True,
    *,
    args: Mapping[str, object] = NO_ARGS,
    defaults: Mapping[str, object] = NO_ARGS,
) -> Iterator[tuple[str, int, list[Candidate]]]:
    """(kind, how many to keep, candidates in order of preference) for every wanted kind.

    args: the op's, as the case gives them. defaults: of those that it need not give.
    """
    makers: dict[str, tuple[int, Callable[[], Iterator[Candidate]]]] = {
        "batch1": (1, lambda: shapes.batch(specs, arrays, rng, 1)),
        "batch3": (1, lambda: shapes.batch(specs, arrays, rng, 3)),
        "square": (1, lambda: shapes.square(specs, arrays, rng)),
        "nonsquare": (3, lambda: shapes.nonsquare(specs, arrays, rng)),
        "broadcast": (4, lambda: shapes.broadcast(specs, arrays, rng)),
        "repeated": (2, lambda: _repeated(specs, arrays)),
        "ties": (2, lambda: _ties(specs, arrays, rng)),
        "zeros": (3, lambda: _zeros(specs, arrays)),
        "large": (1, lambda: _scaled(specs, arrays, "large", 30.0)),
        "huge": (1, lambda: _huge(specs, arrays)),
        "small": (1, lambda: _scaled(specs, arrays, "small", 1e-3)),
        "layout": (1, lambda: _layout(specs, arrays)),
        "single": (4, lambda: shapes.single(specs, arrays, rng)),
        "long": (3, lambda: shapes.long(specs, arrays, rng)),
        "parity": (3, lambda: shapes.parity(specs, arrays, rng)),
        "arguments": (4, lambda: other_arguments(specs, arrays, args, defaults)),
    }
    for name in NAMES:
        keep, make = makers[name]
        if wanted(name):
            candidates = list(itertools.islice(make(), 16))
            if candidates:
                yield name, keep, candidates


def _repeated(specs: Specs, arrays: Mapping[str, Array]) -> Iterator[Candidate]:
    for key, array in arrays.items():
        if array.dtype.kind == "b":
            for value in (True, False):
                yield _with("repeated", specs, arrays, {key: np.full(array.shape, value)})
        elif array.dtype.kind in "iu" and array.size > 1 and not _unique(specs, key, array):
            flat = array.reshape(-1).copy()
            flat[1::2] = flat[0]
            yield _with("repeated", specs, arrays, {key: flat.reshape(array.shape)})


def _unique(specs: Specs, key: str, array: Array) -> bool:
    return spec_of(specs, key, array).unique is not False


def _ties(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    for levels in (3, 1):
        changed: Arrays = {}
        for key, array in arrays.items():
            spec = spec_of(specs, key, array)
            if array.dtype.kind != "f" or spec.values is not None or array.size < 1:
                continue
            low, high = _domain(spec)
            grid = low + (high - low) * (np.arange(levels) + 1) / (levels + 1)
            changed[key] = rng.choice(grid, array.shape)
        if changed:
            yield _with("ties", specs, arrays, changed)


def _domain(spec: InputSpec) -> tuple[float, float]:
    if spec.low is None and spec.high is None:
        return -2.0 * spec.scale, 2.0 * spec.scale
    low = 0.0 if spec.low is None else spec.low
    return low, low + 1.0 if spec.high is None else spec.high


def _zeros(specs: Specs, arrays: Mapping[str, Array]) -> Iterator[Candidate]:
    free = []
    for key, array in arrays.items():
        spec = spec_of(specs, key, array)
        if array.dtype.kind != "f" or spec.values is not None or not array.size:
            continue
        low, high = _domain(spec)
        # A limit is not a point: a domain that starts at 0 usually excludes it.
        if low < 0.0 < high:
            free.append(key)
    if len(free) > 1:
        yield _with("zeros", specs, arrays, {k: np.zeros(arrays[k].shape) for k in free})
    for key in free:
        yield _with("zeros", specs, arrays, {key: np.zeros(arrays[key].shape)})


def _scaled(
    specs: Specs, arrays: Mapping[str, Array], name: str, factor: float
) -> Iterator[Candidate]:
    changed: Arrays = {}
    declared: dict[str, InputSpec] = {}
    for key, array in arrays.items():
        spec = spec_of(specs, key, array)
        if (
            array.dtype.kind == "f"
            and spec.values is None
            and spec.low is None
            and spec.high is None
        ):
            changed[key] = factor * array
            declared[key] = spec.model_copy(update={"scale": factor * spec.scale})
    if changed:
        made = _with(name, specs, arrays, changed)
        yield Candidate(name, made.arrays, {**made.specs, **declared})


def _huge(specs: Specs, arrays: Mapping[str, Array]) -> Iterator[Candidate]:
    """Values of about `HUGE`, unless the declared ones are larger already."""
    declared = max((spec_of(specs, k, v).scale for k, v in arrays.items()), default=1.0)
    if declared < HUGE:
        yield from _scaled(specs, arrays, "huge", HUGE / declared)


def _layout(specs: Specs, arrays: Mapping[str, Array]) -> Iterator[Candidate]:
    changed = {
        k: np.asfortranarray(v) for k, v in arrays.items() if v.ndim > 1 and v.dtype.kind == "f"
    }
    if changed:
        yield _with("layout", specs, arrays, changed)


def _with(
    name: str, specs: Specs, arrays: Mapping[str, Array], changed: Mapping[str, Array]
) -> Candidate:
    declared = {}
    for key, array in arrays.items():
        spec = spec_of(specs, key, array)
        if key in changed:
            spec = spec.model_copy(
                update={"values": changed[key].tolist(), "shape": None, "low": None, "high": None}
            )
        declared[key] = spec
    return Candidate(name, {**arrays, **changed}, declared)


def as_yaml(name: str, op: str, args: Mapping[str, object], specs: Specs) -> list[str]:
    """The lines of a case that declares these inputs: paste it under `cases:`."""
    lines = [f"{name}:", f"  op: {op}"]
    if args:
        lines.append(f"  args: {_flow(dict(args))}")
    lines.append("  inputs:")
    for key, spec in specs.items():
        values = spec.model_dump(exclude_defaults=True)
        if set(values) == {"shape"}:
            lines.append(f"    {key}: {_flow(list(spec.shape or ()))}")
        else:
            lines.append(f"    {key}: {_flow(values)}")
    lines.append("  checks: {gradient: {variants: false}}")
    return lines


def _flow(value: object) -> str:
    """YAML flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    return str(value)
