"""Derive inputs of other shapes: batches of 1 and 3, square and not, single and long axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.yamlcases.case import InputSpec
from gradcheck.yamlcases.inputs import draw

Specs = Mapping[str, InputSpec]
Arrays = dict[str, Array]
Place = tuple[str, int]  # input, axis


@dataclass(frozen=True)
class Candidate:
    """Another set of inputs. specs: how a case would declare it. asked: the case declares it, so
    the op must accept it."""

    name: str
    arrays: Arrays
    specs: dict[str, InputSpec]
    asked: bool = False


def spec_of(specs: Specs, name: str, array: Array) -> InputSpec:
    kind = {"f": "float", "i": "int", "u": "int", "b": "bool"}[array.dtype.kind]
    return specs.get(name) or InputSpec(shape=array.shape, dtype=kind)  # type: ignore[arg-type]


def _reshaped(
    name: str,
    specs: Specs,
    arrays: Mapping[str, Array],
    sizes: Mapping[Place, int],
    rng: np.random.Generator,
) -> Candidate:
    """Draw the inputs again with some axes of another length."""
    made: Arrays = {}
    declared: dict[str, InputSpec] = {}
    for key, array in arrays.items():
        spec = spec_of(specs, key, array)
        shape = tuple(sizes.get((key, axis), n) for axis, n in enumerate(array.shape))
        if shape == array.shape:
            made[key], declared[key] = array, spec
            continue
        if spec.values is not None:  # stay with values that are known to be allowed
            made[key] = rng.choice(array.reshape(-1), shape) if array.size else np.zeros(shape)
            declared[key] = spec.model_copy(update={"values": made[key].tolist()})
            continue
        declared[key] = spec.model_copy(update={"shape": shape})
        made[key] = draw(declared[key], rng)
    return Candidate(name, made, declared)


def _places(arrays: Mapping[str, Array]) -> dict[Place, int]:
    return {(k, a): n for k, v in arrays.items() for a, n in enumerate(v.shape)}


def batch(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator, size: int
) -> Iterator[Candidate]:
    places = _places(arrays)
    lead = next(((k, 0) for k, v in arrays.items() if v.dtype.kind == "f" and v.ndim), None)
    if lead is None or places[lead] == size:
        return
    n = places[lead]
    choices = [
        [p for p, m in places.items() if p[1] == 0 and m == n],
        [p for p, m in places.items() if m == n],
        [lead],
    ]
    for chosen in choices:
        yield _reshaped(f"batch{size}", specs, arrays, dict.fromkeys(chosen, size), rng)


def square(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    places = {p: n for p, n in _places(arrays).items() if n > 1}
    if len(places) > 1 and len(set(places.values())) > 1:
        yield _reshaped("square", specs, arrays, dict.fromkeys(places, 3), rng)


def nonsquare(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    places = {p: n for p, n in _places(arrays).items() if n > 1}
    new = next(n for n in (5, 7, 4, 6, 9, 11) if n not in places.values())
    for size in sorted(set(places.values())):
        same = [p for p, n in places.items() if n == size]
        if len(same) < 2:
            continue
        for count in range(1, len(same)):
            for chosen in itertools.combinations(same, count):
                yield _reshaped("nonsquare", specs, arrays, dict.fromkeys(chosen, new), rng)


def broadcast(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Axes of length 1 that are repeated; not those that run along with an input of integers, such
    as a label for every row: rows and labels would no longer be pairs."""
    if len(arrays) < 2:
        return
    counted = {n for a in arrays.values() if a.dtype.kind in "iu" for n in a.shape}
    for place, n in _places(arrays).items():
        if n > 1 and n not in counted and arrays[place[0]].dtype.kind == "f":
            yield _reshaped("broadcast", specs, arrays, {place: 1}, rng)


def single(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Axes of length 1: all of one length together, since equal lengths may have to be equal."""
    places = {p: n for p, n in _places(arrays).items() if n > 1}
    for size in sorted(set(places.values())):
        same = [p for p, n in places.items() if n == size]
        yield _reshaped("single", specs, arrays, dict.fromkeys(same, 1), rng)


LENGTHS = (67, 19)
"""Lengths that are not multiples of common block sizes, and longer than such blocks."""
MOST = 2048
"""The most entries that an input of a variant may have."""


def long(
    specs: Specs, arrays: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """All axes of one length made long; not of values that are declared one by one, whose repeats
    would be ties."""
    if any(
        spec_of(specs, k, v).values is not None for k, v in arrays.items() if v.dtype.kind == "f"
    ):
        return
    places = {p: n for p, n in _places(arrays).items() if n > 1}
    for size in sorted(set(places.values())):
        same = [p for p, n in places.items() if n == size]
        for length in LENGTHS:
            if length > size and _entries(arrays, same, length) <= MOST:
                yield _reshaped("long", specs, arrays, dict.fromkeys(same, length), rng)
                break


def _entries(arrays: Mapping[str, Array], places: list[Place], length: int) -> int:
    """The size of the largest input when the axes `places` have this length."""
    return max(
        math.prod(length if (key, axis) in places else n for axis, n in enumerate(array.shape))
        for key, array in arrays.items()
    )
