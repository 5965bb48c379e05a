"""`parametrize:` of a case: one case for every combination of values, with readable ids.

    parametrize:
      args.width: [16, 32]
      optimizer.lr: {slow: 1e-4, fast: 1e-2}     # names for values that do not fit in an id

makes `mlp.width-16.lr-slow`, `mlp.width-16.lr-fast`, `mlp.width-32.lr-slow`, ...
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradcheck.yamlcases.case import CaseKeys, as_checks, as_input, as_named
from gradcheck.yamlcases.problem import Location, Problem
from gradcheck.yamlcases.values import clip
from gradcheck.yamlcases.wording import did_you_mean

MAX_COMBINATIONS = 10_000
MAX_AXES = 20


@dataclass(frozen=True)
class Variant:
    """One combination. suffix: what it adds to the id. values: (path in the case, value,
    path of the value below `parametrize`)."""

    suffix: str
    values: tuple[tuple[tuple[str, ...], Any, Location], ...]


def variants(written: Any) -> tuple[list[Variant], list[Problem]]:
    """All combinations of what `parametrize` says, or what is wrong with it."""
    problems = list(itertools.islice(_problems(written), MAX_AXES))
    if problems:
        return [], problems
    labels = _labels(list(written))
    axes = [
        [(labels[path], *choice) for choice in _choices(path, values)]
        for path, values in written.items()
    ]
    made: list[Variant] = []
    for combination in itertools.product(*axes):
        suffix = "".join(f".{label}-{word}" for label, word, *_ in combination)
        values = tuple((tuple(path.split(".")), v, at) for _, _, path, v, at in combination)
        made.append(Variant(suffix, values))
    return made, []


def _problems(written: Any) -> Iterator[Problem]:
    """What is wrong with `parametrize`, by path below it."""
    if not isinstance(written, dict) or not written:
        yield Problem((), "parametrize must be a mapping, such as `args.width: [16, 32]`", True)
        return
    for path, values in written.items():
        first = path.partition(".")[0]
        if first not in CaseKeys.model_fields:
            hint = did_you_mean(first, CaseKeys.model_fields, "; did you mean {}?", "")
            yield Problem((path,), f"parametrize: a case has no key {clip(first)}{hint}", True)
        elif not all(path.split(".")):
            said = f"parametrize: {clip(path)} is not a path; write it as args.width"
            yield Problem((path,), said, True)
        if not isinstance(values, (list, dict)) or not values:
            said = f"parametrize: {clip(path)} needs a list of values, such as [16, 32]"
            yield Problem((path,), said, True)
        elif isinstance(values, dict):
            said = "becomes part of a test id; use letters, digits, '_', '.' and '-'"
            for name in values:
                if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                    yield Problem((path, name), f"{clip(name)} {said}", True)
    if len(written) > MAX_AXES:
        said = f"parametrize has {len(written):,} keys; the most is {MAX_AXES}"
        yield Problem((), said, True)
        return
    count = math.prod(len(v) for v in written.values() if isinstance(v, (list, dict)))
    if count > MAX_COMBINATIONS:
        said = f"parametrize makes {count:,} cases; the most is {MAX_COMBINATIONS:,}"
        yield Problem((), said, True)


def _labels(paths: list[str]) -> dict[str, str]:
    """The last key of each path, or the whole path where two have the same last key."""
    tails = [p.rpartition(".")[2] for p in paths]
    count = Counter(tails)
    return {path: word(tail if count[tail] == 1 else path) for path, tail in zip(paths, tails)}


def _choices(path: str, values: Any) -> list[tuple[str, str, Any, Location]]:
    """(word for the id, path, value, where it is written) of one axis."""
    if isinstance(values, dict):
        return [(name, path, value, (path, name)) for name, value in values.items()]
    words = [word(v) for v in values]
    count = Counter(words)
    return [
        (w if count[w] == 1 else f"{w}_{i}" if w else str(i), path, v, (path, i))
        for i, (w, v) in enumerate(zip(words, values))
    ]


def word(value: Any) -> str:
    """A value as part of a test id; '' where it is too long or has no plain form."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list) and value and all(type(v) is int for v in value):
        text = "x".join(map(str, value))
    elif isinstance(value, dict):
        text = str(value.get("name", ""))
    else:
        text = "" if isinstance(value, list) else str(value)
    text = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_")
    return text if len(text) <= 40 else ""


def apply(written: Mapping[str, Any], variant: Variant) -> tuple[dict[str, Any], list[Problem]]:
    """A copy of the keys of a case with the values of a variant put in."""
    case = dict(written)
    problems: list[Problem] = []
    for path, value, at in variant.values:
        inner: Any = case
        for depth, step in enumerate(path[:-1]):
            held = inner.get(step)
            if depth == 0 and step in ("data", "loss", "optimizer"):
                held = as_named(held)
            elif depth == 0 and step == "checks":
                held = as_checks(held)
            elif depth == 1 and path[0] == "inputs":
                held = as_input(held)
            if held is None:
                held = {}
            if not isinstance(held, dict):
                said = ".".join(path[: depth + 1])
                message = f"parametrize: `{said}` of the case is not a mapping"
                problems.append(Problem(at[:1], message, True))
                break
            inner[step] = dict(held)
            inner = inner[step]
        else:
            inner[path[-1]] = value
    return case, problems
