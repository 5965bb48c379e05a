"""The gradient check as a function: no pytest, no case file, made for a notebook.

result = gradcheck.check_gradients(lambda x, w: (x @ w).tanh(), x, w)
result = gradcheck.check_gradients(model, inputs, loss=lambda output: cross_entropy(output, y))
assert result, result           # true only when it passed; as text it says what is wrong
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gradcheck.api import arguments
from gradcheck.api.subjects import home_of, subject_of
from gradcheck.checks.gradient.declared import examine_declared
from gradcheck.crash import crash
from gradcheck.frameworks.protocol import Framework, Output
from gradcheck.numerics.telling.blame import at_home
from gradcheck.probe.from_function import FunctionSubject
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result


def check_gradients(
    fn: Any,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    loss: Callable[[Output], Output] | None = None,
    framework: str | Framework | None = None,
    seed: int = 0,
    low: float | Sequence[float | None] | None = None,
    high: float | Sequence[float | None] | None = None,
    **options: Any,
) -> Result:
    """Compare every analytic gradient of a function or model with the numeric one.

    fn: a function of tensors, or a model (anything with tensors on it that is called with tensors).
    inputs: arrays or tensors, None, and tuples, lists, dicts or dataclasses of them; an array in
    one is called 'input0.mask' or 'input0.1'. kwargs: arguments that are passed by name. A function
    is checked with respect to its floating arrays and tensors, a model with respect to its
    parameters.
    loss: turns the output of a model into the scalar that is differentiated; without it an output
    of any shape, or all floating tensors of a nested one, are contracted with random weights.
    framework: a name ('tinytorch', 'pytorch') or an adapter; found from the tensors otherwise.
    low, high: the domain of a function's floating inputs, one number for all or one for each input
    (None: no bound): no step and no probe leaves it.
    options: those of the check `gradient` (`exhaustive=True`, `directions=3`, ...).

    A model is copied first: the caller's own is not touched. The process keeps the memory that is
    freed meanwhile (see `gradcheck.memory`). Never raises for a wrong gradient (`assert_gradients`
    does): the result is true only when it passed, and `str(result)` says what is wrong.
    Raises TypeError or ValueError for arguments that make no sense, and what `fn` itself raises.
    """
    return gradient_of(
        fn,
        inputs,
        kwargs=kwargs,
        loss=loss,
        framework=framework,
        seed=seed,
        options=options,
        who=arguments.CHECK,
        domain=(low, high),
    )


def gradient_of(
    fn: Any,
    inputs: Sequence[Any],
    *,
    kwargs: Mapping[str, Any] | None = None,
    loss: Callable[[Output], Output] | None,
    framework: str | Framework | None,
    seed: int,
    options: Mapping[str, Any],
    who: str,
    domain: tuple[Any, Any] = (None, None),
) -> Result:
    """What `check_gradients` says. who: the function that the user called, for sentences."""
    chosen = arguments.options(options, who)
    subject = subject_of(
        fn, inputs, kwargs=kwargs, loss=loss, framework=framework, seed=seed, who=who
    )
    if domain != (None, None):
        subject.bounds = arguments.bounds(subject, len(inputs), *domain, who)
    title = f"{subject.name}::gradient"
    try:
        settings = dataclasses.replace(chosen.settings(), scalar=loss is not None)
        done = examine_declared(subject, chosen, settings)
    except Exception as error:
        subject.forward()  # what `fn` itself raises is raised as it is
        finding = crash(error, name=subject.name, is_op=subject.is_op)
        if finding is None:
            raise  # gradcheck's own
        return Result(findings=(_backward_failed(finding),), title=title)
    if subject.is_op:
        done.findings = [at_home(f, home_of(fn)) for f in done.findings]
    result = done.result()
    notes = (*result.notes, *_masks(subject))
    return dataclasses.replace(result, title=title, notes=notes)


def _masks(subject: Subject) -> Iterator[str]:
    for name in subject.masks if isinstance(subject, FunctionSubject) else ():
        yield f"{name} holds -inf: it was passed on as a mask, and not differentiated"


def _backward_failed(crashed: Finding) -> Finding:
    """The forward runs, so it was the backward that raised."""
    return dataclasses.replace(
        crashed,
        code="backward_failed",
        where=None,
        lines=(),
        message=f"the forward runs and the backward does not: {crashed.message}",
        advice="stay with the framework's own operations from the inputs to the result: no numpy, "
        "no detach, no tensor rebuilt from .data",
    )
