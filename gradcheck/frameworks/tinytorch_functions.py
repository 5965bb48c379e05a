"""The calls of ops that were defined in some packages, while a program runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import MetFunction
from gradcheck.source.where import defined_at
from tinytorch.operation import OPS, Op

Wanted = Callable[[str, str, int], bool]
Met = Callable[[MetFunction], None]


@contextmanager
def watched(packages: Sequence[str], wanted: Wanted, met: Met) -> Iterator[list[str]]:
    """See `WatchesFunctions`. The op's own function is what is wrapped: programs keep the op."""
    rights: dict[str, Any] = {}
    try:
        for op in list(OPS.values()):
            module = op.fn.__module__
            if any(module == p or module.startswith(f"{p}.") for p in packages):
                rights[op.name] = op.fn
                op.fn = _noting(op, op.fn, wanted, met)
        yield [f"{fn.__module__}.{name}" for name, fn in rights.items()]
    finally:
        for name, fn in rights.items():
            OPS[name].fn = fn


def _noting(op: Op, right: Any, wanted: Wanted, met: Met) -> Any:
    signature = inspect.signature(right)

    def noted(*args: Any, **kwargs: Any) -> Any:
        found = _met(op, right, signature.bind(*args, **kwargs), wanted)
        result = right(*args, **kwargs)
        if found is not None:
            met(found)
        return result

    noted.__module__, noted.__wrapped__ = right.__module__, right  # type: ignore[attr-defined]
    return noted


def _met(op: Op, right: Any, bound: inspect.BoundArguments, wanted: Wanted) -> MetFunction | None:
    if op.variadic:
        given = {f"input{i}": np.asarray(a) for i, a in enumerate(bound.args[len(op.leading) :])}
        leading = list(bound.args[: len(op.leading)])
        attrs = dict(bound.kwargs)
    else:
        values = bound.arguments
        given = {n: np.asarray(values[n]) for n in op.arrays if values.get(n) is not None}
        leading, attrs = [], {n: v for n, v in values.items() if n not in given}
    said = [f"{n} {a.shape} {a.dtype}" for n, a in given.items()]
    said += [repr(v) for v in leading] + [f"{n}={v!r}" for n, v in attrs.items()]
    arguments = ", ".join(said)
    name = f"{right.__module__}.{op.name}"
    if not wanted(name, arguments, sum(a.nbytes for a in given.values())):
        return None

    def run(*tensors: Any) -> Any:
        if op.variadic:
            return op(*leading, *tensors, **attrs)
        return op(**dict(zip(given, tensors)), **attrs)

    return MetFunction(
        name=op.name,
        module=right.__module__,
        defined=defined_at(right),
        arguments=arguments,
        inputs={n: np.array(a) for n, a in given.items()},
        needs=(),
        run=run,
    )
