"""jax.test_util.check_grads in reverse mode with its defaults, on the ops as custom_vjp."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from . import models, ops
from .verdict import NOT_APPLICABLE, Cell, Complaint, measure

ABILITIES = ()  # arrays are immutable and have no strides; models and steps are none of its matter


def contestant() -> Iterator[Cell]:
    """Every cell of the column."""
    jax.config.update("jax_enable_x64", True)
    for subject in [*ops.FAULTS, *ops.CORRECT]:
        function, arrays = jax_op(subject.fn, subject.arrays)
        yield measure(subject, lambda f=function, a=arrays: complaints(f, a), ABILITIES)
    for subject in [*models.FAULTS, *models.CORRECT]:
        yield Cell(subject.id, NOT_APPLICABLE)


def complaints(function: Callable[..., Any], arrays: list[Any]) -> list[Complaint]:
    """What check_grads raises. A custom_vjp has no forward mode, hence `modes`."""
    try:
        check_grads(function, arrays, order=1, modes=["rev"])
    except Exception as error:
        return [Complaint("check_grads", str(error))]
    return []


def jax_op(fn: Callable[..., Any], arrays: dict[str, Any]) -> tuple[Callable[..., Any], list[Any]]:
    """`fn` and its own pullback as a function of the floating arrays, and those arrays."""
    floating = [n for n, a in arrays.items() if a.dtype.kind == "f"]
    result = np.asarray(fn(*arrays.values())[0])
    shape = jax.ShapeDtypeStruct(result.shape, result.dtype)
    shapes = tuple(jax.ShapeDtypeStruct(arrays[n].shape, arrays[n].dtype) for n in floating)

    def call(values: tuple[Any, ...]) -> Any:
        given = {**arrays, **{n: np.array(v) for n, v in zip(floating, values)}}
        return fn(*given.values())

    def pull(cotangent: Any, *values: Any) -> tuple[Any, ...]:
        grads = call(values)[1](np.array(cotangent))
        grads = grads if isinstance(grads, tuple) else (grads,)
        by_name = dict(zip(arrays, grads))
        return tuple(np.asarray(by_name[n], arrays[n].dtype) for n in floating)

    @jax.custom_vjp
    def function(*values: Any) -> Any:
        return jax.pure_callback(lambda *v: np.asarray(call(v)[0]), shape, *values)

    def forward(*values: Any) -> Any:
        return function(*values), values

    def backward(values: Any, cotangent: Any) -> Any:
        return jax.pure_callback(pull, shapes, cotangent, *values)

    function.defvjp(forward, backward)
    return function, [jnp.asarray(arrays[n]) for n in floating]
