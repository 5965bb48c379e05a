"""A model without a loss: its output is weighted at random, and its graph and gradients checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.api.subjects import name_of
from gradcheck.api.trains import judged
from gradcheck.checks.base import Check
from gradcheck.checks.gradient.check import Gradient
from gradcheck.checks.graph.check import Graph
from gradcheck.checks.model.determinism import Determinism
from gradcheck.frameworks.protocol import Array, Framework, Output
from gradcheck.phrases import one_line
from gradcheck.probe.from_model import ModelSubject
from gradcheck.result import Result

CHECKS: tuple[Check, ...] = (Graph(), Gradient(), Determinism())


def probe(
    model: Any, inputs: Sequence[Array], *, adapter: Framework, seed: int
) -> Iterator[tuple[str, Result]]:
    """The result of each check, on a copy of the model in eval mode."""
    subject = _subject(model, inputs, adapter, seed)
    for check in CHECKS:
        result = judged(subject.fresh(), check.name, check.Options(), check)
        yield check.name, dataclasses.replace(result, title=f"{subject.name}::{check.name}")


def runs_with(model: Any, inputs: Sequence[Array], *, adapter: Framework, seed: int) -> str | None:
    """None if the model runs on `inputs` and returns something to differentiate; else why not."""
    try:
        subject = _subject(model, inputs, adapter, seed)
        value = subject.value(subject.forward())
    except Exception as error:
        return f"{type(error).__name__}: {one_line(error)[:120]}"
    return None if np.isfinite(value).all() else "the output is not finite"


def _subject(model: Any, inputs: Sequence[Array], adapter: Framework, seed: int) -> ModelSubject:
    weights: dict[int, Any] = {}

    def step(model: Any, batch: Any, _: Any) -> Output:
        total = None
        for i, part in enumerate(_floating(model(*batch[:-1]), adapter)):
            values = adapter.value(part)
            if i not in weights:
                weights[i] = np.random.default_rng([seed, i]).standard_normal(values.shape)
            weight = adapter.leaf(weights[i], trainable=False, dtype=str(values.dtype))
            term = (part * weight).sum()
            total = term if total is None else total + term
        if total is None:
            raise TypeError("the model returns no floating tensor")
        return total

    dtype = adapter.precision.data
    arrays = [*inputs, np.zeros(1)]  # the last stands where a target would
    return ModelSubject(
        model, adapter, batch=arrays, step=step, dtype=dtype, seed=seed, training=False,
        name=name_of(model),
    )  # fmt: skip


def _floating(output: Any, adapter: Framework) -> Iterator[Output]:
    """The floating tensors of an output: of tuples, lists, dicts and dataclasses too."""
    if isinstance(output, Mapping):
        output = list(output.values())
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        output = [getattr(output, f.name) for f in dataclasses.fields(output)]
    if isinstance(output, (tuple, list)):
        for part in output:
            yield from _floating(part, adapter)
    elif (
        output is not None
        and not isinstance(output, (int, float, str))
        and adapter.value(output).dtype.kind == "f"
    ):
        yield output
