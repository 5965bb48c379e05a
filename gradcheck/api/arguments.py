"""The arguments of the functions, and a sentence for each one that makes no sense.

`who` is the function that the user called: its name begins every sentence.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import Array, Framework, JoinsResults, Output, TakesComplex
from gradcheck.probe.domain import Bounds
from gradcheck.probe.subject import Subject
from gradcheck.yamlcases.wording import sentence

M = TypeVar("M", bound=BaseModel)

NUMBERS = (int, float, complex, str, bytes, list, tuple, dict, set, np.ndarray, np.generic)
"""What a function under test may return by mistake."""

CHECK = "check_gradients"


OF_CASES = ("extra", "variants", "skip_variants")
"""Options about more inputs of an op case. A function is called with the inputs it is given."""


def options(given: Mapping[str, Any], who: str = CHECK) -> GradientOptions:
    """Raises ValueError: which option, and what there is."""
    found = options_of(GradientOptions, given, who)
    for name in OF_CASES:
        if given.get(name):
            raise ValueError(
                f"{who}: the option {name} is for ops of case files, whose inputs gradcheck draws; "
                f"call {who} once more with the other inputs"
            )
    return found


def options_of(model: type[M], given: Any, who: str) -> M:
    """Options of a check. Raises ValueError: which option, and what there is."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        text = sentence(error.errors()[0], model).replace("unknown key", "unknown option")
        raise ValueError(f"{who}: {text}") from None


def callables(fn: Any, loss: Any, who: str = CHECK) -> None:
    """Raises TypeError unless `fn` is a function or model and `loss` None or a function."""
    if isinstance(fn, type):
        # torch.autograd.Function and its like; `apply` alone would be the method of any class
        if callable(getattr(fn, "apply", None)) and callable(getattr(fn, "backward", None)):
            raise TypeError(
                f"{who}: {fn.__name__} is a Function; pass what a forward calls: "
                f"{fn.__name__}.apply"
            )
        raise TypeError(
            f"{who}: {fn.__name__} is a class; pass a model made from it, such as "
            f"{fn.__name__}(...)"
        )
    if not callable(fn):
        raise TypeError(f"{who}: its first argument must be a function or a model, not {_a(fn)}")
    if loss is not None and not callable(loss):
        raise TypeError(
            f"{who}: loss must be a function of the output, not {_a(loss)}; for example "
            "loss=lambda output: cross_entropy(output, targets)"
        )


def one_by_one(
    inputs: Sequence[Any], fn: Any, who: str = CHECK, kwargs: Mapping[str, Any] | None = None
) -> None:
    """Raises TypeError for inputs in one tuple, as torch.autograd.gradcheck takes them."""
    if len(inputs) != 1 or not isinstance(inputs[0], (tuple, list)):
        return
    values: tuple[type, ...] = (int, float, list, tuple, np.generic)
    if isinstance(inputs[0], list):  # rows of one array
        values = (*values, np.ndarray)
    if any(not isinstance(v, values) for v in inputs[0]) and not _takes_one(
        fn, inputs[0], kwargs or {}
    ):
        name = getattr(fn, "__name__", "f")
        name = name if name.isidentifier() else "f"
        given = ", ".join(f"x{i}" for i in range(len(inputs[0]))) if len(inputs[0]) > 1 else "x"
        raise TypeError(
            f"{who}: the inputs come in one {type(inputs[0]).__name__}, as "
            f"torch.autograd.gradcheck takes them; pass them one by one: {who}({name}, {given})"
        )


def _takes_one(fn: Any, given: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether `fn` wants the tuple or list itself: it takes one argument, and not as many."""

    def takes(count: int) -> bool:
        try:
            inspect.signature(fn).bind(*range(count), **kwargs)
        except TypeError:
            return False
        except ValueError:  # built-in: no signature
            return count == 1 or isinstance(given, tuple)
        return True

    return takes(1) and (isinstance(given, list) or not takes(len(given)))


def array(adapter: Framework, value: Any, what: str | int, who: str = CHECK) -> Array:
    """An input as an array. Raises TypeError unless it is an array, a number or a tensor.

    what: its number among the inputs, or what a sentence calls it.
    """
    try:
        if isinstance(value, (int, float, bool, list, tuple, np.ndarray, np.generic)):
            found = np.asarray(value)
        elif value is None or isinstance(value, (str, bytes, dict, set)):
            raise TypeError
        else:
            found = np.asarray(adapter.get(value))
            if isinstance(adapter, TakesComplex) and adapter.is_complex(value):
                found = found[..., 0] + 1j * found[..., 1]
    except (TypeError, ValueError, AttributeError):
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in ("fiubc" if isinstance(adapter, TakesComplex) else "fiub"):
        raise TypeError(
            f"{who}: {what if isinstance(what, str) else f'input {what}'} is {_a(value)}, not an "
            f"array of real numbers; pass a number, an array or a tensor of {adapter.name}"
        )
    return found


def given(
    adapter: Framework, inputs: Sequence[Any], kwargs: Mapping[str, Any], who: str = CHECK
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments, with an array for every array and tensor in them, however deep. A number or
    rows of numbers among `inputs` are an array too. What else is in a container, and None, stays.

    Raises TypeError for an input that is none of it.
    """

    def array_of(name: str, value: Any) -> Array:
        return array(adapter, value, name, who)

    def is_tensor(value: Any) -> bool:
        return _is_tensor(adapter, value)

    found: list[Any] = []
    for i, value in enumerate(inputs):
        if value is None and len(inputs) > 1:
            found.append(None)
        elif _holds(value) and any(parts(value, is_tensor)):
            found.append(replaced(value, is_tensor, array_of, f"input {i}"))
        else:
            found.append(array(adapter, value, i, who))
    return tuple(found), {n: replaced(v, is_tensor, array_of, n) for n, v in kwargs.items()}


def input_name(path: str) -> str:
    """The name of an argument: 'input0', 'input1.mask' by position, 'mask' by keyword."""
    kind, _, rest = path.partition(".")
    return f"input{rest}" if kind == "0" else rest


def _holds(value: Any) -> bool:
    """Whether a value is a container that may hold tensors."""
    return isinstance(value, (Mapping, list, tuple)) or dataclasses.is_dataclass(value)


def _is_tensor(adapter: Framework, value: Any) -> bool:
    """Whether something among the arguments is an array, or a tensor that the adapter reads."""
    if isinstance(value, (np.ndarray, np.generic)):
        return True
    if type(value).__module__ == "builtins" or _holds(value) or callable(value):
        return False
    try:
        return np.asarray(adapter.get(value)).dtype.kind in "fiubc"
    except (TypeError, ValueError, AttributeError):
        return False


def one_tensor(adapter: Framework, output: Output, name: str, who: str = CHECK) -> Output:
    """`output`; of several tensors, all floating ones as one. Raises TypeError for what cannot be
    differentiated at all."""
    if isinstance(adapter, JoinsResults) and not isinstance(output, (str, bytes, np.ndarray)):
        joined = adapter.join(output)
        if joined is not None:
            return joined
    if output is None or isinstance(output, NUMBERS):
        raise TypeError(
            f"{who}: {name} returns {_a(output)}; it must return one tensor. Pick one in "
            "a function of your own, such as lambda x: model(x)[0], without numpy in between"
        )
    return output


def nothing_to_check(inputs: Sequence[Any], who: str = CHECK) -> str:
    if not inputs:
        return f"{who}: there are no inputs and no parameters; pass the function's inputs too"
    return (
        f"{who}: nothing here has a gradient: no input is floating (whole numbers are "
        "passed on as they are), and a function has no parameters. Pass 1.0 instead of 1"
    )


def _a(value: Any) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def bounds(subject: Subject, count: int, low: Any, high: Any, who: str) -> dict[str, Bounds]:
    """By input its domain. low, high: a number for all `count` inputs, or one (or None) for each.

    Raises ValueError for what is no domain, and for inputs that lie outside of it.
    """
    if not subject.inputs:
        raise ValueError(f"{who}: low and high are about the inputs of a function, not of a model")
    ends = [_ends(end, count, name, who) for end, name in ((low, "low"), (high, "high"))]
    found = {}
    for number, (least, most) in enumerate(zip(*ends)):
        name = f"input{number}"
        if name not in subject.inputs or (least is None and most is None):
            continue
        bounds = Bounds(
            -np.inf if least is None else float(least), np.inf if most is None else float(most)
        )
        if not bounds.low < bounds.high:
            raise ValueError(f"{who}: high must be greater than low, for input {number}")
        x = subject.get(name)
        if ((x < bounds.low) | (x > bounds.high)).any():
            raise ValueError(
                f"{who}: input {number} has entries outside of {bounds.low:g} to {bounds.high:g}; "
                "correct low and high, or the input"
            )
        found[name] = bounds
    return found


def _ends(end: Any, count: int, name: str, who: str) -> list[float | None]:
    if end is None or isinstance(end, (int, float)):
        return [end] * count
    ends = list(end) if isinstance(end, (list, tuple)) else None
    if (
        ends is None
        or len(ends) != count
        or not all(e is None or isinstance(e, (int, float)) for e in ends)
    ):
        raise ValueError(f"{who}: {name} must be a number, or a list of one for each input")
    return ends
