"""From what a user passes, a function or a model with its inputs, to a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcheck.api import arguments
from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import Framework, Output
from gradcheck.probe.batches import is_array
from gradcheck.probe.from_function import FunctionSubject
from gradcheck.probe.from_model import ModelSubject
from gradcheck.probe.subject import Subject
from gradcheck.source.where import defined_at

CONTAINERS = (Mapping, list, tuple)


def subject_of(
    fn: Any,
    inputs: Sequence[Any],
    *,
    kwargs: Mapping[str, Any] | None = None,
    loss: Callable[[Output], Output] | None = None,
    framework: str | Framework | None = None,
    seed: int = 0,
    who: str = arguments.CHECK,
) -> Subject:
    """A function of tensors, differentiated with respect to its floating inputs; or a model, with
    respect to its parameters, of which a copy is made.

    Raises TypeError or ValueError for arguments that make no sense.
    """
    arguments.callables(fn, loss, who)
    arguments.one_by_one(inputs, fn, who, kwargs)
    adapter = framework_of(framework, fn, [*inputs, *(kwargs or {}).values()])
    given = arguments.given(adapter, inputs, kwargs or {}, who)
    name, dtype = name_of(fn), adapter.precision.data

    def checked(output: Output) -> Output:
        if loss is None:
            return arguments.one_tensor(adapter, output, name, who)
        return arguments.one_tensor(adapter, loss(output), "loss", who)

    subject: Subject
    if is_model(adapter, fn):
        subject = ModelSubject(
            fn,
            adapter,
            batch=given,
            step=lambda model, batch, _: checked(model(*batch[0], **batch[1])),
            dtype=dtype,
            seed=seed,
            name=name,
        )
    else:

        def call(*tensors: Any) -> Output:
            new = iter(tensors)
            args, named = replaced(given, is_array, lambda *_: next(new))
            return checked(fn(*args, **named))

        subject = FunctionSubject(
            call,
            adapter,
            arrays={arguments.input_name(path): a for path, a in parts(given, is_array)},
            dtype=dtype,
            seed=seed,
            name=name,
        )
    if not subject.leaves:
        raise ValueError(arguments.nothing_to_check(inputs, who))
    return subject


def framework_of(given: str | Framework | None, fn: Any, inputs: Sequence[Any]) -> Framework:
    """The adapter: as given, by its name, or by the types of the arguments."""
    if given is not None and not isinstance(given, str):
        return given
    from gradcheck.names import load as plugins

    registry = plugins.load()
    if given is None:
        held = [v for _, v in parts([*inputs], lambda v: not isinstance(v, CONTAINERS))]
        modules = {type(v).__module__.partition(".")[0] for v in (*held, fn)}
        bases = {c.__module__.partition(".")[0] for c in type(fn).__mro__}
        given = "pytorch" if "torch" in modules | bases else "tinytorch"
    adapter: Framework = registry.framework(given)
    return adapter


def home_of(fn: Any) -> str | None:
    """'file:line' of the function; of the backward, where it is a Function's `apply`. None for a
    function without source."""
    owner = getattr(fn, "__self__", None)
    backward = getattr(owner, "backward", None) if isinstance(owner, type) else None
    return defined_at(fn if backward is None else backward)


def is_model(adapter: Framework, fn: Any) -> bool:
    if isinstance(fn, type) or hasattr(fn, "__code__"):
        return False
    return bool(adapter.named_parameters(fn))


def name_of(fn: Any) -> str:
    """What messages call it. `Square.apply` is Square."""
    text = getattr(fn, "__name__", type(fn).__name__)
    owner = getattr(fn, "__self__", None)
    if text == "apply" and isinstance(owner, type):
        text = owner.__name__
    return text if text.isidentifier() else "function"
