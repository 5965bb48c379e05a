"""Arrays for the declared inputs of an op."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradcheck.case import InputSpec
from gradcheck.frameworks.protocol import Array


def draw_inputs(specs: Mapping[str, InputSpec], rng: np.random.Generator) -> dict[str, Array]:
    """One array per input, float64, int64 or bool, as `InputSpec` says."""
    return {name: draw(spec, rng) for name, spec in specs.items()}


def draw(spec: InputSpec, rng: np.random.Generator) -> Array:
    if spec.values is not None:
        return np.array(spec.values, dtype={"float": "f8", "int": "i8", "bool": "?"}[spec.dtype])
    shape = spec.shape or ()
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if spec.dtype == "int":
        return rng.integers(int(spec.low or 0), int(spec.high or 2), shape)
    if spec.low is not None or spec.high is not None:
        low = 0.0 if spec.low is None else spec.low
        return rng.uniform(low, low + 1.0 if spec.high is None else spec.high, shape)
    return spec.scale * rng.standard_normal(shape)
