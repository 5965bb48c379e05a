"""Arrays for the declared inputs of an op."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gradcheck.frameworks.protocol import Array
from gradcheck.yamlcases import dims
from gradcheck.yamlcases.case import Inputs, InputSpec
from gradcheck.yamlcases.dims import Dim
from gradcheck.yamlcases.problem import Problem
from gradcheck.yamlcases.wording import problems_of

MAX_ELEMENTS = 2**24


def input_specs(inputs: Any) -> dict[str, InputSpec]:
    """Inputs as a plugin declares them, written as in a case: name -> shape, or an `InputSpec`.

    Raises ValueError with a clause that says what is wrong.
    """
    if not isinstance(inputs, Mapping) or not inputs:
        raise ValueError("inputs must be a dict of name -> shape, such as {'x': [2, 3]}")
    try:
        specs = _READER.validate_python(dict(inputs))
    except ValidationError as error:
        first = next(problems_of(error, Inputs, ("inputs",)))
        raise ValueError(first.sentence) from None
    for name, spec in specs.items():
        found = problem(spec)
        if found is not None:
            raise ValueError(f"input {name!r}: {found.sentence}")
    for name, of_dims in dims.problems(specs):
        raise ValueError(f"input {name!r}: {of_dims.sentence}")
    return specs


_READER: TypeAdapter[dict[str, InputSpec]] = TypeAdapter(Inputs)


def draw_inputs(specs: Mapping[str, InputSpec], rng: np.random.Generator) -> dict[str, Array]:
    """One array per input, float64, int64 or bool, as `InputSpec` says."""
    return {name: draw(spec, rng) for name, spec in specs.items()}


def draw(spec: InputSpec, rng: np.random.Generator) -> Array:
    """The array of one input. `spec` is one for which `problem` finds nothing."""
    if spec.values is not None:
        return np.array(spec.values, dtype={"float": "f8", "int": "i8", "bool": "?"}[spec.dtype])
    shape = spec.shape or ()
    if spec.dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    if spec.dtype == "int":
        low, high = int_range(spec)
        if spec.unique is not False:
            return unique(low, high, shape, axes_of(spec.unique, len(shape)), rng)
        return np.asarray(rng.integers(low, high, shape))
    if spec.low is not None or spec.high is not None:
        low_f, high_f = float_range(spec)
        return np.asarray(rng.uniform(low_f, high_f, shape))
    return np.asarray(spec.scale * rng.standard_normal(shape))


def axes_of(unique: bool | tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """The axes that `unique` means, counted from 0."""
    if isinstance(unique, bool):
        return tuple(range(ndim)) if unique else ()
    return tuple(sorted({axis % ndim for axis in unique}))


def unique(
    low: int, high: int, shape: tuple[int, ...], axes: tuple[int, ...], rng: np.random.Generator
) -> Array:
    """Integers from low to high - 1, none twice along these axes together. There must be enough."""
    count = math.prod(shape[axis] for axis in axes)
    others = [n for axis, n in enumerate(shape) if axis not in axes]
    rows = [rng.permutation(high - low)[:count] + low for _ in range(math.prod(others))]
    drawn = np.array(rows, dtype=np.int64).reshape(*others, *(shape[axis] for axis in axes))
    return np.moveaxis(drawn, range(len(others), drawn.ndim), axes)


def repeats(values: Array, axes: tuple[int, ...]) -> bool:
    """Whether a number occurs twice along these axes together."""
    count = math.prod(values.shape[axis] for axis in axes)
    last = np.moveaxis(values, axes, range(values.ndim - len(axes), values.ndim))
    rows = np.sort(last.reshape(-1, count), -1) if count else last.reshape(-1, 0)
    return bool((rows[:, 1:] == rows[:, :-1]).any())


def float_range(spec: InputSpec) -> tuple[float, float]:
    """The ends of a uniform draw; the one that is not given lies 1 from the other, or is 0."""
    if spec.low is None:
        high = 1.0 if spec.high is None else spec.high
        return (0.0 if high > 0 else high - 1.0), high
    return spec.low, spec.low + 1.0 if spec.high is None else spec.high


def int_range(spec: InputSpec) -> tuple[int, int]:
    """The lowest integer and the one after the highest."""
    low = 0 if spec.low is None else int(spec.low)
    if spec.high is not None:
        return low, int(spec.high)
    if spec.unique is not False and spec.shape:
        return low, low + max(1, _count(spec.unique, spec.shape))
    return low, max(2, low + 2)


def _count(unique: bool | tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many different numbers `unique` asks for."""
    return math.prod(shape[axis] for axis in axes_of(unique, len(shape)))


def problem(spec: InputSpec) -> Problem | None:
    """What is wrong between the keys of an input, which pydantic reads one by one."""
    if spec.unique is not False and (found := _problem_of_unique(spec)) is not None:
        return found
    if isinstance(spec.high, Dim) and spec.dtype != "int":
        said = "high is the name of a size, which only integers index; add `dtype: int`"
        return Problem(("high",), said)
    if spec.values is None:
        return _problem_of_shape(spec)
    for key in ("shape", "low", "high", "scale"):
        if key in spec.model_fields_set and not isinstance(getattr(spec, key), Dim):
            return Problem((key,), f"{key} has no meaning beside `values`; leave it out")
    shape = nested_shape(spec.values)
    if shape is None:
        said = "values must be a number or nested lists of numbers, all of equal length"
        return Problem(("values",), said)
    if math.prod(shape) > MAX_ELEMENTS or len(shape) > 8:
        return Problem(("values",), "there are too many values; declare a `shape`")
    return _problem_of_kind(spec)


def _problem_of_unique(spec: InputSpec) -> Problem | None:
    if spec.dtype != "int":
        return Problem(("unique",), "only integers can be unique; add `dtype: int`")
    shape = spec.shape if spec.values is None else nested_shape(spec.values)
    if shape is None:
        return None  # said elsewhere
    unique = spec.unique
    for axis in () if isinstance(unique, bool) else unique:
        if not -len(shape) <= axis < len(shape):
            return Problem(("unique",), f"there is no axis {axis} in a shape of {len(shape)} axes")
    count = _count(unique, shape)
    if spec.values is not None:
        if repeats(np.array(spec.values), axes_of(unique, len(shape))):
            said = "the values have repeats, and `unique` says that they have none"
            return Problem(("unique",), said)
    elif spec.high is not None and not (isinstance(spec.high, Dim) and not spec.high.known):
        low, high = int_range(spec)
        if high - low < count:
            said = f"{count} different integers do not fit between low {low} and high {high}"
            return Problem(("unique",), f"{said}; raise high")
    return None


def _problem_of_shape(spec: InputSpec) -> Problem | None:
    if spec.shape is None:
        return Problem((), "an input has a `shape`, such as [2, 5], or `values`; add one of them")
    if math.prod(spec.shape) > MAX_ELEMENTS:
        said = f"a shape of more than {MAX_ELEMENTS:,} elements; make it smaller"
        return Problem(("shape",), said)
    if spec.dtype == "bool":
        for key in ("low", "high"):
            if getattr(spec, key) is not None:
                return Problem((key,), f"{key} has no meaning for dtype bool; leave it out")
        return None
    if spec.dtype == "int":
        for key in ("low", "high"):
            value = getattr(spec, key)
            if value is not None and not (float(value).is_integer() and abs(value) < 2**53):
                return Problem((key,), f"{key} must be a whole number for dtype int")
    if isinstance(spec.high, Dim) and not spec.high.known:
        return None  # said elsewhere
    low, high = int_range(spec) if spec.dtype == "int" else float_range(spec)
    if (spec.low is not None or spec.high is not None) and not low < high:
        key = "high" if spec.high is not None else "low"
        return Problem((key,), "high must be greater than low")
    return None


def _problem_of_kind(spec: InputSpec) -> Problem | None:
    """Whether the values are of the dtype."""
    kinds = set(_kinds(spec.values))
    allowed: dict[str, set[type]] = {"float": {int, float}, "int": {int}, "bool": {bool}}
    wrong = kinds - allowed[spec.dtype]
    if not wrong:
        return None
    names = {int: "integers", float: "floats", bool: "true or false"}
    has = " and ".join(sorted(names[k] for k in kinds))
    fitting = "bool" if kinds == {bool} else "float" if float in kinds else "int"
    hint = "do not mix them" if bool in kinds and len(kinds) > 1 else f"add `dtype: {fitting}`"
    return Problem(("values",), f"values are {has}, but the dtype is {spec.dtype}; {hint}")


def _kinds(values: Any) -> list[type]:
    if isinstance(values, (list, tuple)):
        return [kind for value in values for kind in set(_kinds(value))]
    return [type(values)]


def nested_shape(values: Any) -> tuple[int, ...] | None:
    """The shape of a number or of nested lists of numbers; None when they are irregular."""
    if isinstance(values, (list, tuple)):
        shapes = {nested_shape(value) for value in values}
        if len(shapes) > 1 or None in shapes:
            return None
        inner = shapes.pop() if shapes else ()
        return None if inner is None else (len(values), *inner)
    return () if isinstance(values, float) or _is_int64(values) else None


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63
