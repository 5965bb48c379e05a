"""The arguments of `check_gradients`, and a sentence for each one that makes no sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.frameworks.protocol import Array, Framework, Output
from gradcheck.yamlcases.wording import sentence

NUMBERS = (int, float, complex, str, bytes, list, tuple, dict, set, np.ndarray, np.generic)
"""What a function under test may return by mistake."""


def options(given: Mapping[str, Any]) -> GradientOptions:
    """Raises ValueError: which option, and what there is."""
    try:
        return GradientOptions.model_validate(given)
    except ValidationError as error:
        text = sentence(error.errors()[0], GradientOptions).replace("unknown key", "unknown option")
        raise ValueError(f"check_gradients: {text}") from None


def callables(fn: Any, loss: Any) -> None:
    if isinstance(fn, type):
        raise TypeError(
            f"check_gradients: {fn.__name__} is a class; pass a model made from it, such as "
            f"{fn.__name__}(...)"
        )
    if not callable(fn):
        raise TypeError(
            f"check_gradients: its first argument must be a function or a model, not {_a(fn)}"
        )
    if loss is not None and not callable(loss):
        raise TypeError(
            f"check_gradients: loss must be a function of the output, not {_a(loss)}; for example "
            "loss=lambda output: cross_entropy(output, targets)"
        )


def array(adapter: Framework, value: Any, number: int) -> Array:
    """An input as an array. Raises TypeError unless it is an array, a number or a tensor."""
    try:
        if isinstance(value, (int, float, bool, list, tuple, np.ndarray, np.generic)):
            found = np.asarray(value)
        elif value is None or isinstance(value, (str, bytes, dict, set)):
            raise TypeError
        else:
            found = np.asarray(adapter.get(value))
    except (TypeError, ValueError, AttributeError):
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "fiub":
        raise TypeError(
            f"check_gradients: input {number} is {_a(value)}, not an array of real numbers; "
            f"pass a number, an array or a tensor of {adapter.name}"
        )
    return found


def one_tensor(output: Output, name: str) -> Output:
    """`output`; raises TypeError for what cannot be differentiated at all."""
    if output is None or isinstance(output, NUMBERS):
        raise TypeError(
            f"check_gradients: {name} returns {_a(output)}; it must return one tensor. Pick one in "
            "a function of your own, such as lambda x: model(x)[0], without numpy in between"
        )
    return output


def nothing_to_check(fn: Any, inputs: Sequence[Any]) -> str:
    if not inputs:
        return (
            "check_gradients: there are no inputs and no parameters; pass the function's inputs too"
        )
    return (
        "check_gradients: nothing here has a gradient: no input is floating (whole numbers are "
        "passed on as they are), and a function has no parameters. Pass 1.0 instead of 1"
    )


def _a(value: Any) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
