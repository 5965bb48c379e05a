"""Derive inputs of other shapes: batches of 1 and 3, square and not, single, long, odd and even."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.yamlcases.case import InputSpec
from gradcheck.yamlcases.dims import Dim
from gradcheck.yamlcases.inputs import draw, problem

Specs = Mapping[str, InputSpec]
Arrays = dict[str, Array]
Place = tuple[str, int]  # input, axis


@dataclass(frozen=True)
class Candidate:
    """Another set of inputs. specs: how a case would declare it. asked: the case declares it, so
    the op must accept it. args: of the op, where they differ from the case's. said: what differs
    in them."""

    name: str
    arrays: Arrays
    specs: dict[str, InputSpec]
    asked: bool = False
    args: Mapping[str, object] | None = None
    said: str = ""


def spec_of(specs: Specs, name: str, array: Array) -> InputSpec:
    kind = {"f": "float", "i": "int", "u": "int", "b": "bool"}[array.dtype.kind]
    return specs.get(name) or InputSpec(shape=array.shape, dtype=kind)  # type: ignore[arg-type]


def _reshaped(
    name: str,
    specs: Specs,
    arrays: Mapping[str, Array],
    sizes: Mapping[Place, int],
    rng: np.random.Generator,
) -> Iterator[Candidate]:
    """The inputs drawn again with some axes of another length, and with them all axes of the same
    name; none where unique integers would have to repeat."""
    named = _names(specs, arrays)
    by_name = {named[place]: size for place, size in sizes.items() if place in named}
    sizes = {**{p: by_name[n] for p, n in named.items() if n in by_name}, **sizes}
    made: Arrays = {}
    declared: dict[str, InputSpec] = {}
    for key, array in arrays.items():
        before = spec_of(specs, key, array)
        shape = tuple(sizes.get((key, axis), n) for axis, n in enumerate(array.shape))
        spec = _in_range(before, arrays, sizes, by_name)
        if shape == array.shape and spec is before:
            made[key], declared[key] = array, spec
            continue
        if spec.values is not None:  # stay with values that are known to be allowed
            values = _chosen(array, spec, shape, rng)
            if values is None:
                return
            made[key] = values
            declared[key] = spec.model_copy(update={"values": values.tolist()})
            continue
        if spec.shape is not None:
            old = spec.shape
            shape = tuple(o.of(n) if isinstance(o, Dim) else n for o, n in zip(old, shape))
        declared[key] = spec.model_copy(update={"shape": shape})
        if problem(declared[key]) is not None:
            return  # too few different integers
        made[key] = draw(declared[key], rng)
    yield Candidate(name, made, declared)


def _in_range(
    spec: InputSpec,
    arrays: Mapping[str, Array],
    sizes: Mapping[Place, int],
    by_name: Mapping[str, int],
) -> InputSpec:
    """Integers that index an axis stay in its range: `high` follows the size that it names, or an
    axis of exactly that length that gets shorter."""
    if spec.dtype != "int" or spec.high is None:
        return spec
    if isinstance(spec.high, Dim):
        new = by_name.get(spec.high.name)
        return spec if new is None else spec.model_copy(update={"high": spec.high.of(new)})
    shorter = [
        new
        for (key, axis), new in sizes.items()
        if arrays[key].dtype.kind == "f" and new < arrays[key].shape[axis] == spec.high
    ]
    low = 0 if spec.low is None else spec.low
    if not shorter or min(shorter) <= low:
        return spec
    return spec.model_copy(update={"high": float(min(shorter))})


def _chosen(
    array: Array, spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator
) -> Array | None:
    """Declared values in another shape, inside the range; None where unique ones do not suffice."""
    pool = array.reshape(-1)
    if spec.dtype == "int" and spec.high is not None:
        pool = pool[pool < int(spec.high)]
    if spec.unique is not False:
        pool = np.unique(pool)
        if pool.size < math.prod(shape):
            return None
        return np.asarray(rng.permutation(pool)[: math.prod(shape)].reshape(shape))
    return np.asarray(rng.choice(pool, shape)) if pool.size else np.zeros(shape, array.dtype)


def _places(arrays: Mapping[str, Array]) -> dict[Place, int]:
    return {(k, a): n for k, v in arrays.items() for a, n in enumerate(v.shape)}


def _names(specs: Specs, arrays: Mapping[str, Array]) -> dict[Place, str]:
    """The axes that have a name."""
    return {
        (key, axis): n.name
        for key in arrays
        for axis, n in enumerate((specs[key].shape if key in specs else None) or ())
        if isinstance(n, Dim)
    }


def _groups(specs: Specs, arrays: Mapping[str, Array]) -> list[tuple[int, list[Place]]]:
    """(length, axes) of what belongs together: axes of one name, and of the others those of one
    length, since equal lengths may have to be equal. Axes of length 1 are left out."""
    named = _names(specs, arrays)
    found: dict[tuple[int, str], list[Place]] = {}
    for place, n in _places(arrays).items():
        if n > 1:
            found.setdefault((n, named.get(place, "")), []).append(place)
    return [(n, found[n, name]) for n, name in sorted(found)]


def batch(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator, size: int
) -> Iterator[Candidate]:
    places, named = _places(arrays), _names(specs, arrays)
    lead = next(((k, 0) for k, v in arrays.items() if v.dtype.kind == "f" and v.ndim), None)
    if lead is None or places[lead] == size:
        return
    n = places[lead]
    alike = [p for p, m in places.items() if m == n and p not in named]
    choices = [[p for p in alike if p[1] == 0], alike, [lead]]
    for chosen in choices if lead not in named else [[lead]]:
        yield from _reshaped(f"batch{size}", specs, arrays, dict.fromkeys(chosen, size), rng)


def square(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    places = {p: n for p, n in _places(arrays).items() if n > 1}
    if len(places) > 1 and len(set(places.values())) > 1:
        yield from _reshaped("square", specs, arrays, dict.fromkeys(places, 3), rng)


def nonsquare(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    places, named = {p: n for p, n in _places(arrays).items() if n > 1}, _names(specs, arrays)
    new = next(n for n in (5, 7, 4, 6, 9, 11) if n not in places.values())
    for size in sorted(set(places.values())):
        units: dict[object, list[Place]] = {}
        for place, n in places.items():
            if n == size:
                units.setdefault(named.get(place, place), []).append(place)
        for count in range(1, len(units)):
            for chosen in itertools.combinations(units.values(), count):
                changed = dict.fromkeys(itertools.chain.from_iterable(chosen), new)
                yield from _reshaped("nonsquare", specs, arrays, changed, rng)


def broadcast(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Axes of length 1 that are repeated; not those that run along with an input of integers, such
    as a label for every row: rows and labels would no longer be pairs. Not those with a name,
    either: it says that they are equal."""
    if len(arrays) < 2:
        return
    named = _names(specs, arrays)
    counted = {n for a in arrays.values() if a.dtype.kind in "iu" for n in a.shape}
    for place, n in _places(arrays).items():
        free = place not in named and n not in counted
        if n > 1 and free and arrays[place[0]].dtype.kind == "f":
            yield from _reshaped("broadcast", specs, arrays, {place: 1}, rng)


def single(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Axes of length 1: all that belong together."""
    for _, same in _groups(specs, arrays):
        yield from _reshaped("single", specs, arrays, dict.fromkeys(same, 1), rng)


LENGTHS = (67, 19)
"""Lengths that are not multiples of common block sizes, and longer than such blocks."""
MOST = 2048
"""The most entries that an input of a variant may have."""


def long(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """All axes that belong together made long; not of values that are declared one by one, whose
    repeats would be ties."""
    if _one_by_one(specs, arrays):
        return
    for size, same in _groups(specs, arrays):
        for length in LENGTHS:
            if length > size and _entries(arrays, same, length) <= MOST:
                yield from _reshaped("long", specs, arrays, dict.fromkeys(same, length), rng)
                break


def parity(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Axes that belong together one longer: even where they are odd, and odd where they are even.
    A median, a stride or a pairing may treat the two in different ways."""
    if _one_by_one(specs, arrays):
        return
    for size, same in _groups(specs, arrays):
        if _entries(arrays, same, size + 1) <= MOST:
            yield from _reshaped("parity", specs, arrays, dict.fromkeys(same, size + 1), rng)


def _one_by_one(specs: Specs, arrays: Mapping[str, Array]) -> bool:
    return any(
        spec_of(specs, k, v).values is not None for k, v in arrays.items() if v.dtype.kind == "f"
    )


def _entries(arrays: Mapping[str, Array], places: list[Place], length: int) -> int:
    """The size of the largest input when the axes `places` have this length."""
    return max(
        math.prod(length if (key, axis) in places else n for axis, n in enumerate(array.shape))
        for key, array in arrays.items()
    )
