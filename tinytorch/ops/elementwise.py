"""Elementwise ops. Shapes broadcast; the engine sums gradients back over broadcast axes."""

from __future__ import annotations

import numpy as np

from tinytorch.operation import op


@op
def add(a, b):
    """a + b."""
    return a + b, lambda g: (g, g)


@op
def sub(a, b):
    """a - b."""
    return a - b, (lambda g: g, lambda g: -g)


@op
def mul(a, b):
    """a * b, elementwise."""
    return a * b, (lambda g: g * b, lambda g: g * a)


@op
def div(a, b):
    """a / b. d(a/b)/db = -a/b²."""
    return np.true_divide(a, b), (lambda g: g / b, lambda g: -g * a / (b * b))


@op
def neg(x):
    """-x."""
    return -x, lambda g: -g


@op
def pow(a, b):
    """a ** b. d/da = b a^(b-1), 0 where b = 0; d/db = a^b log a, 0 where a = 0 and b >= 0."""
    y = np.power(a, b)

    def base(g):
        if isinstance(b, (int, float)):
            return g * (b * np.power(a, b - 1)) if b != 0 else np.zeros_like(g)
        with np.errstate(divide="ignore", invalid="ignore"):
            return g * np.where(b == 0, 0, b * np.power(a, b - 1))

    def exponent(g):
        with np.errstate(divide="ignore", invalid="ignore"):
            return g * np.where((a == 0) & (np.real(b) >= 0), 0, y * np.log(a))

    return y, (base, exponent)


def _share(wins, ties, g):
    """The part of g for the winner: all of it, half of it at ties, none."""
    return g * (wins + 0.5 * ties).astype(g.dtype)


@op
def maximum(a, b):
    """The larger of a and b; at ties either gets half of the gradient."""
    return np.maximum(a, b), (
        lambda g: _share(np.greater(a, b), np.equal(a, b), g),
        lambda g: _share(np.greater(b, a), np.equal(a, b), g),
    )


@op
def minimum(a, b):
    """The smaller of a and b; at ties either gets half of the gradient."""
    return np.minimum(a, b), (
        lambda g: _share(np.less(a, b), np.equal(a, b), g),
        lambda g: _share(np.less(b, a), np.equal(a, b), g),
    )


@op
def where(condition, a, b):
    """a where the boolean condition holds, b elsewhere."""
    zero = np.zeros((), np.result_type(a, b))
    return np.where(condition, a, b), (
        None,
        lambda g: np.where(condition, g, zero),
        lambda g: np.where(condition, zero, g),
    )


@op
def clip(x, min: float | None = None, max: float | None = None):
    """x held between min and max; the gradient passes where min <= x <= max."""
    if min is None and max is None:
        raise ValueError("at least one of min and max must be given")
    return np.clip(x, min, max), lambda g: g * _within(x, min, max)


def _within(x, low, high):
    inside = True if low is None else x >= low
    return inside if high is None else inside & (x <= high)


@op
def abs(x):
    """|x|; the gradient at 0 is 0."""
    return np.abs(x), lambda g: g * np.sign(x)


@op
def exp(x):
    """e^x."""
    y = np.exp(x)
    return y, lambda g: g * y


@op
def log(x):
    """Natural logarithm."""
    return np.log(x), lambda g: g / x


@op
def log1p(x):
    """log(1 + x), accurate near 0."""
    return np.log1p(x), lambda g: g / (1 + x)


@op
def sqrt(x):
    """Square root; the gradient at 0 is infinite."""
    y = np.sqrt(x)
    return y, lambda g: g / (2 * y)


@op
def sin(x):
    """Sine."""
    return np.sin(x), lambda g: g * np.cos(x)


@op
def cos(x):
    """Cosine."""
    return np.cos(x), lambda g: -g * np.sin(x)


@op
def clone(x):
    """A copy, in the graph."""
    return x.copy(), lambda g: g


@op
def cast(x, dtype: np.dtype):
    """x as another floating dtype. The engine casts the gradient back."""
    return x.astype(dtype), lambda g: g
