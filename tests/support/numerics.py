"""Subjects made in a test, without a case file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradcheck.checks.gradient.check import Gradient
from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.names.registry import Entry, Registry
from gradcheck.probe.from_case import CaseSubject
from gradcheck.probe.subject import Subject
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case
from tinytorch import OPS, Op


def registry(framework: Any = TinyTorch, **things: tuple[str, Any]) -> Registry:
    """A registry of one framework; things: name -> (kind, value)."""
    made = Registry()
    made.add(Entry("framework", "tinytorch", framework, "test", "test.py:1"))
    for name, (kind, value) in things.items():
        made.add(Entry(kind, name, value, "test", "test.py:1", "tinytorch"))
    return made


def check_op(
    op: Callable[..., Any] | str,
    inputs: Mapping[str, Any],
    args: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    framework: Any = TinyTorch,
    **options: Any,
) -> Result:
    """The gradient check of an op; a plain function in the style of `@op` is made one (but not
    entered in the list of ops)."""
    if isinstance(op, str):
        name, value = op, OPS[op]
    else:
        name = getattr(op, "__name__", "function").strip("<>")
        value = op if isinstance(op, Op) else Op(op, name)
    case = Case(
        name=name,
        op=name,
        seed=seed,
        args=dict(args or {}),
        inputs=dict(inputs),
    )
    names = registry(framework, **{name: ("op", value)})
    return checked(lambda: CaseSubject(case, names), **options)


def check_model(
    factory: Callable[..., Any],
    step: Callable[..., Any],
    *,
    seed: int = 0,
    framework: Any = TinyTorch,
    training: bool = True,
    **options: Any,
) -> Result:
    """The gradient check of a model whose step(model, batch, loss) makes its own data."""
    case = Case(name="model", model="model", step="step", seed=seed, training=training)
    things = {"model": ("model", factory), "step": ("step", step)}
    return checked(lambda: CaseSubject(case, registry(framework, **things)), **options)


def checked(make: Callable[[], Subject], **options: Any) -> Result:
    """The gradient check of the subject that `make` makes."""
    return Gradient().run(make(), GradientOptions(**options))
