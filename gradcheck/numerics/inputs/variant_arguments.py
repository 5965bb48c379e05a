"""Derive other arguments: a factor or a stride of 1, equal paddings hide what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.inputs.variant_shapes import Candidate, Specs, spec_of

OTHER = 0.7
"""What a float is multiplied by; also in place of 0 it lies inside most domains."""
TINY = 1e-3
"""A positive float below this guards a division or ends an iteration: it is left alone."""

VALUES = ("blank", "class", "id", "idx", "index", "label", "seed", "token")
"""Whole numbers whose names end so stand for a value among the inputs (`ignore_index`, the blank of
CTC), or for a draw: another one asks another question, which the inputs may not allow."""


def other_arguments(
    specs: Specs,
    arrays: Mapping[str, Array],
    args: Mapping[str, object],
    defaults: Mapping[str, object],
) -> Iterator[Candidate]:
    """One candidate for each argument with a numeric default. An argument without a default may be
    the size of an array, and one whose default is None switches something on: they stay."""
    declared = {key: spec_of(specs, key, array) for key, array in arrays.items()}
    for name, default in defaults.items():
        if name in arrays or not isinstance(default, (int, float, tuple, list)):
            continue
        if isinstance(default, int) and name.rpartition("_")[2] in VALUES:
            continue
        changed = other(args.get(name, default))
        if changed is not None:
            said = f"{name}={changed}"
            given = {**args, name: changed}
            yield Candidate("arguments", dict(arrays), declared, args=given, said=said)


def other(value: object) -> object | None:
    """Another value of the same kind; None where there is none to try."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        if value == 0.0:
            return OTHER
        return None if abs(value) < TINY else OTHER * value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, (tuple, list)) and len(value) > 1:
        *first, last = value
        if all(type(n) is int and n == last for n in first) and type(last) is int:
            return type(value)((*first, last + 1))
    return None
