"""Whether a model in hand trains: four checks on a batch, a loss and an optimizer."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gradcheck.api import arguments
from gradcheck.api.subjects import is_model, name_of
from gradcheck.checks.base import Check
from gradcheck.checks.gradient.check import Gradient
from gradcheck.checks.graph.check import Graph
from gradcheck.checks.learning.overfit import Overfit
from gradcheck.checks.updates.check import Updates
from gradcheck.crash import crash
from gradcheck.frameworks.protocol import Array, Framework, Output
from gradcheck.numerics.core.threads import one_blas_thread
from gradcheck.probe.from_model import ModelSubject
from gradcheck.probe.modelcall import default_step
from gradcheck.probe.optimizers import spec_of
from gradcheck.result import Result

WHO = "assert_trains"
MORE = 10
"""So many times the usual steps are given to a model that is slow and not stuck: half the first
loss within 60 steps is a goal for a case, whose author chooses steps; Adam at its usual 1e-3 needs
some hundred on a small model."""
CHECKS = {check.name: check for check in (Graph(), Gradient(), Updates(), Overfit())}
"""In the order in which each relies on the ones before it."""


def trains(
    model: Any,
    batch: Any,
    loss: Callable[..., Output] | None,
    optimizer: Any,
    step: Callable[..., Output] | None,
    *,
    adapter: Framework,
    seed: int,
    options: Mapping[str, Any],
) -> Iterator[tuple[str, Result]]:
    """The results by check; behind one that failed, the others are not judged."""
    chosen = _chosen(options)
    subject = subject_to_train(model, batch, loss, optimizer, step, adapter=adapter, seed=seed)
    failed = ""
    for name, given in chosen.items():
        title = f"{subject.name}::{name}"
        if failed:
            result = Result.skipped(f"not judged, because {failed} failed; mend that first")
        else:
            result = judged(subject.fresh(), name, given)
            if name == "overfit" and result.findings and "steps" not in given.model_fields_set:
                longer = {"steps": MORE * given.steps, "sweep_steps": given.steps}
                result = judged(subject.fresh(), name, given.model_copy(update=longer))
        failed = failed or (name if result.outcome == "failed" else "")
        yield name, dataclasses.replace(result, title=title)


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    from gradcheck.phrases import did_you_mean

    for name, given in options.items():
        if name not in CHECKS:
            hint = did_you_mean(name, CHECKS, f"it runs {', '.join(CHECKS)}")
            raise ValueError(f"{WHO}: there is no check {name!r}; {hint}")
        if not isinstance(given, (Mapping, bool)):
            raise TypeError(
                f"{WHO}: {name} must be a dict of its options, or False to leave it out, such as "
                'overfit={"steps": 200}'
            )
    return {
        name: arguments.options_of(
            check.Options,
            {} if isinstance(given := options.get(name, {}), bool) else dict(given),
            f"{WHO}, {name}",
        )
        for name, check in CHECKS.items()
        if options.get(name) is not False
    }


def judged(subject: ModelSubject, name: str, options: Any, check: Check | None = None) -> Result:
    """What one check says; an exception out of the model or the step is a finding."""
    chosen: Check = CHECKS[name] if check is None else check
    try:
        with np.errstate(all="ignore"), one_blas_thread():
            return chosen.run(subject, options)
    except Exception as error:
        finding = crash(error, name=subject.name, is_op=False)
        if finding is None:
            raise
        return Result(findings=(finding,))


def subject_to_train(
    model: Any,
    batch: Any,
    loss: Callable[..., Output] | None,
    optimizer: Any,
    step: Callable[..., Output] | None,
    *,
    adapter: Framework,
    seed: int,
) -> ModelSubject:
    """Raises TypeError or ValueError: which argument makes no sense, and what it must be."""
    if isinstance(model, type):
        raise TypeError(
            f"{WHO}: {model.__name__} is a class; pass a model made from it, such as "
            f"{model.__name__}(...)"
        )
    if not is_model(adapter, model):
        raise TypeError(f"{WHO}: {name_of(model)} has no parameters, so nothing can be trained")
    if loss is None and step is None:
        raise TypeError(f"{WHO}: it needs a loss, or a step(model, batch, loss) that returns one")
    if loss is not None and not callable(loss):
        raise TypeError(f"{WHO}: loss must be a function of the output and the target")
    if not callable(optimizer) and not callable(getattr(optimizer, "step", None)):
        raise TypeError(
            f"{WHO}: optimizer must be an optimizer on the model's parameters, or a function that "
            "makes one from parameters"
        )
    if loss is None and _takes(step, 4):
        raise TypeError(f"{WHO}: a step with an optimizer does not say what the loss is; pass it")
    arrays, keys = _arrays(batch, adapter, step)
    forward, train = _steps(step, keys)
    return ModelSubject(
        model,
        adapter,
        batch=arrays,
        loss=loss,
        step=forward,
        train=train,
        optimizer=spec_of(optimizer, model, adapter),
        dtype=_dtype(model, adapter),
        seed=seed,
        name=name_of(model),
    )


def _arrays(
    batch: Any, adapter: Framework, step: Any
) -> tuple[list[Array], tuple[str, ...] | None]:
    """The tensors of a batch, and the keys that they have in a dict."""
    if isinstance(batch, Mapping):
        if step is None:
            raise TypeError(
                f"{WHO}: a batch that is a dict needs a step that takes it, such as "
                "step=lambda model, batch, loss: model(**batch).loss"
            )
        named = {f"batch[{k!r}]": v for k, v in batch.items()}
        return [arguments.array(adapter, v, k, WHO) for k, v in named.items()], tuple(batch)
    if not isinstance(batch, (tuple, list)) or (step is None and len(batch) < 2):
        raise TypeError(f"{WHO}: batch must be the inputs and then the target, such as (x, y)")
    return [arguments.array(adapter, v, f"batch[{i}]", WHO) for i, v in enumerate(batch)], None


def _steps(step: Any, keys: tuple[str, ...] | None) -> tuple[Any, Any]:
    """(what gives the loss, the whole training step or None)."""
    if step is None:
        return default_step, None

    def given(batch: tuple[Any, ...]) -> Any:
        return batch if keys is None else dict(zip(keys, batch))

    if _takes(step, 4):
        if keys is not None:
            raise TypeError(f"{WHO}: a step with an optimizer takes a tuple as batch, not a dict")
        return default_step, step
    if not _takes(step, 3):
        raise TypeError(
            f"{WHO}: step must take (model, batch, loss), or (model, batch, loss, optimizer)"
        )
    if keys is None:
        return step, None
    return (lambda model, batch, loss: step(model, given(batch), loss)), None


def _takes(function: Any, count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _dtype(model: Any, adapter: Framework) -> str:
    """float64 where the whole model is that, else float32, as models are trained."""
    kinds = {str(adapter.get(p).dtype) for p in adapter.named_parameters(model).values()}
    return "float64" if kinds == {"float64"} else "float32"
