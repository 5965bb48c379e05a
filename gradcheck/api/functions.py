"""The gradient check as a function: no pytest, no case file, made for a notebook.

result = gradcheck.check_gradients(lambda x, w: (x @ w).tanh(), x, w)
result = gradcheck.check_gradients(model, inputs, loss=lambda output: cross_entropy(output, y))
print(result.outcome, result.findings)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from gradcheck.api import arguments
from gradcheck.checks.gradient.declared import examine_declared
from gradcheck.crash import crash
from gradcheck.frameworks.protocol import Framework, Output
from gradcheck.probe.from_function import FunctionSubject
from gradcheck.probe.from_model import ModelSubject
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result


def check_gradients(
    fn: Any,
    *inputs: Any,
    loss: Callable[[Output], Output] | None = None,
    framework: str | Framework | None = None,
    seed: int = 0,
    **options: Any,
) -> Result:
    """Compare every analytic gradient of a function or model with the numeric one.

    fn: a function of tensors, or a model (anything with tensors on it that is called with tensors).
    inputs: arrays or tensors. A function is checked with respect to its floating inputs; a model
    with respect to its parameters. loss: turns the output of a model into the scalar that is
    differentiated; without it an output of any shape is contracted with random weights.
    framework: a name ('tinytorch', 'pytorch') or an adapter; found from the tensors otherwise.
    options: those of the check `gradient` (`exhaustive=True`, `directions=3`, ...).

    A model is copied first: the caller's own is not touched. The process keeps the memory that is
    freed meanwhile (see `gradcheck.memory`). Never raises for a wrong gradient:
    look at `result.outcome` ('passed' or 'failed'), `result.findings`, `result.measurements`.
    Raises TypeError or ValueError for arguments that make no sense, and what `fn` itself raises.
    """
    chosen = arguments.options(options)
    arguments.callables(fn, loss)
    adapter = _framework(framework, fn, inputs)
    arrays = [arguments.array(adapter, v, i) for i, v in enumerate(inputs)]
    name, dtype = _name(fn), adapter.precision.data

    def checked(output: Output) -> Output:
        output = arguments.one_tensor(output, name)
        return output if loss is None else arguments.one_tensor(loss(output), "loss")

    subject: Subject
    if _is_model(adapter, fn):
        subject = ModelSubject(
            fn,
            adapter,
            batch=arrays,
            step=lambda model, batch, _: checked(model(*batch)),
            dtype=dtype,
            seed=seed,
            name=name,
        )
    else:
        subject = FunctionSubject(
            lambda *tensors: checked(fn(*tensors)),
            adapter,
            arrays={f"input{i}": array for i, array in enumerate(arrays)},
            dtype=dtype,
            seed=seed,
            name=name,
        )
    if not subject.leaves:
        raise ValueError(arguments.nothing_to_check(fn, inputs))
    try:
        settings = dataclasses.replace(chosen.settings(), scalar=loss is not None)
        done = examine_declared(subject, chosen, settings)
    except Exception as error:
        subject.forward()  # what `fn` itself raises is raised as it is
        finding = crash(error, name=subject.name, is_op=subject.is_op)
        if finding is None:
            raise  # gradcheck's own
        return Result(findings=(_backward_failed(finding),))
    return done.result()


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


def _framework(given: str | Framework | None, fn: Any, inputs: Sequence[Any]) -> Framework:
    if given is not None and not isinstance(given, str):
        return given
    from gradcheck.names import load as plugins

    registry = plugins.load()
    if given is None:
        modules = {type(v).__module__.partition(".")[0] for v in (*inputs, fn)}
        bases = {c.__module__.partition(".")[0] for c in type(fn).__mro__}
        given = "pytorch" if "torch" in modules | bases else "tinytorch"
    adapter: Framework = registry.framework(given)
    return adapter


def _is_model(adapter: Framework, fn: Any) -> bool:
    if isinstance(fn, type) or hasattr(fn, "__code__"):
        return False
    return bool(adapter.named_parameters(fn))


def _name(fn: Any) -> str:
    text = getattr(fn, "__name__", type(fn).__name__)
    return text if text.isidentifier() else "function"
