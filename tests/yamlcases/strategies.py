"""Case files at random: valid ones, broken ones, and arbitrary texts."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("GRADCHECK_FUZZ_EXAMPLES", "0"))


def fuzz(examples: int) -> settings:
    """Settings of a fuzz test; GRADCHECK_FUZZ_EXAMPLES overrules the number of examples."""
    return settings(
        max_examples=EXAMPLES or examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


VALID: dict[str, Any] = {
    "schema": 1,
    "x-note": {"any": ["thing"]},
    "cases": {
        "norm": {
            "description": "an op",
            "op": "layer_norm",
            "args": {"eps": 0.001},
            "inputs": {
                "x": [2, 5],
                "weight": {"shape": [5], "low": 0.5, "high": 1.5},
                "bias": {"values": [1, 2, 3, 4, 5], "trainable": False},
            },
            "marks": ["slow"],
            "skip_if": {"platform": "cygwin", "python": ">=3.10, <3.99"},
            "cost": 2.5,
        },
        "net": {
            "model": "mlp",
            "args": {"sizes": [4, 8, 2], "activation": "relu"},
            "data": {"name": "digits", "flat": True, "batch": 4, "shuffle": False},
            "loss": "cross_entropy",
            "optimizer": {"name": "adam", "lr": 0.01},
            "dtype": "float64",
            "seed": 3,
            "training": False,
            "train": {"steps": 5, "schedule": {"name": "cosine", "warmup": 2}},
            "checks": {"overfit": {"steps": 30, "below": 0.5, "sweep": "long"}, "graph": None},
            "xfail": [{"check": "graph", "finding": "cut", "reason": "known"}],
            "skip": False,
            "timeout": 60,
        },
        "loop": {
            "model": "anything",
            "step": "own_step",
            "checks": ["graph"],
            "skip_if": [{"missing": ["torch"]}],
        },
    },
}
WITH_DEFAULTS: dict[str, Any] = {
    "schema": 1,
    "defaults": {"data": {"batch": 4}, "optimizer": {"name": "sgd"}, "checks": {"overfit": {}}},
    "cases": {
        "net": {"model": "anything", "data": {"name": "iris"}, "loss": "mse"},
        "grid": {
            "op": "tanh",
            "inputs": {"x": {"shape": [3], "dtype": "float", "scale": 2.0}},
            "parametrize": {"seed": [1, 2], "inputs.x.scale": {"small": 0.1, "large": 10.0}},
        },
    },
}

KEYS = sorted(
    {key for case in VALID["cases"].values() for key in case}
    | {"shape", "values", "low", "name", "batch", "lr", "steps", "below", "finding", "x-more"}
    | {"schema", "cases", "defaults", "opp", "framework", "platform", "reason", "tolerance"}
)
NAMES = [
    "tanh",
    "layer_norm",
    "mlp",
    "anything",
    "mse",
    "adam",
    "sgd",
    "digits",
    "iris",
    "own_step",
]
WORDS = [*NAMES, "graph", "gradient", "overfit", "all", "float32", "float", "int", "bool", "nope"]
words = st.sampled_from(["", "a", "yes", "1", "a b", "linux", "3.11", *WORDS])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**40), 2**40),
    # 2.0 is a whole number in JSON Schema, and none in YAML
    st.floats(-1e6, 1e6).filter(lambda value: not value.is_integer()),
    words,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [above] if above else []
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        found += paths(item, (*above, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document with up to three things replaced, removed, renamed or added."""
    document = copy.deepcopy(draw(st.sampled_from([VALID, VALID, WITH_DEFAULTS])))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(paths(document)))
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        last = path[-1]
        how = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if how == "replace":
            holder[last] = draw(values)
        elif how == "remove":
            del holder[last]
        elif isinstance(holder, dict):
            moved = holder.pop(last) if how == "rename" else draw(values)
            holder[draw(st.sampled_from(KEYS))] = moved
        else:
            holder.append(draw(values))
        if not paths(document):
            break
    return document


def as_yaml(document: Any) -> str:
    """JSON is YAML, and quotes what YAML would read as something else."""
    return json.dumps(document)


PIECES = [
    *("schema: 1\n", "cases:\n", "  a:\n", "    op: tanh\n", "    inputs: {x: [2, 5]}\n"),
    *(
        "defaults:\n",
        "&a",
        "*a",
        "<<:",
        " ",
        "  ",
        "\n",
        "\t",
        ": ",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
    ),
    *("!!python/name:os.system", "!x", "|", ">", "#", "---\n", "...\n", "%TAG", "\\", "\x00"),
    *("\ufeff", "é", "\U0001f600", "\u2028", "\x85", "\r", "1e-6", "null", "true", "0x1", "a"),
    *("x-a", "@", "`", ",", "'", '"'),
]
texts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
)


@st.composite
def edited(draw: st.DrawFn) -> str:
    """The text of a valid file with pieces put in, taken out or repeated."""
    text = draw(st.sampled_from([as_yaml(VALID), FILE]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 40)))
        text = (
            text[:start] + draw(st.sampled_from([*PIECES, "", text[start:stop] * 3])) + text[stop:]
        )
    return text


FILE = """\
schema: 1
x-base: &base
  op: layer_norm
  inputs: {x: [2, 5], weight: [5], bias: [5]}
defaults:
  optimizer: {name: adam, lr: 1e-3}
cases:
  first:
    <<: *base
    seed: 7
  second:                            # a model
    model: mlp
    args: {sizes: [64, 32, 10]}
    data: {name: digits, batch: 32}
    loss: cross_entropy
    checks:
      graph:
      overfit: {steps: 60, below: 0.1}
    xfail: {check: graph, finding: "cut"}
  third: {<<: *base, parametrize: {seed: [1, 2]}}
"""
