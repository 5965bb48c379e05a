"""jax.test_util.check_grads in float64 on the jobs of `gradient.py`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from contestants import sampled, smallest_seen
from jax.test_util import check_grads

jax.config.update("jax_enable_x64", True)

from jax_transformer import of_one_leaf  # noqa: E402  (after the switch to float64)

SUBJECTS = {
    "sin": (jnp.sin, (3, 4)),
    "softmax": (lambda x: jax.nn.softmax(x, axis=-1), (3, 4)),
    "mean": (jnp.mean, (1000,)),
}


def spoiled(entry: tuple[int, ...], error: float) -> Any:
    """The identity, with one entry of the gradient off by a relative error."""

    @jax.custom_vjp
    def identity(x: Any) -> Any:
        return x

    identity.defvjp(lambda x: (x, None), lambda _, g: (g.at[entry].multiply(1 + error),))
    return identity


def seen(subject: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    if subject == "transformer":
        fn, x = of_one_leaf()
    else:
        fn, shape = SUBJECTS[subject]
        x = jnp.asarray(rng.standard_normal(shape))
    y, pullback = jax.vjp(fn, x)
    (gradient,) = pullback(jnp.asarray(rng.standard_normal(y.shape)))

    def wrong(entry: tuple[int, ...], error: float) -> bool:
        spoil = spoiled(entry, error)
        try:
            check_grads(lambda v: fn(spoil(v)), (x,), order=1, modes=["rev"])
        except AssertionError:
            return True
        return False

    count = 3 if subject == "transformer" else 6
    return {"smallest": smallest_seen(wrong, sampled(gradient, count))}
