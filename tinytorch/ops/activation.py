"""Activation functions, elementwise."""

from __future__ import annotations

import math

import numpy as np

from tinytorch.operation import op
from tinytorch.ops._erf import erf as erf_of
from tinytorch.ops._normal import normal_cdf
from tinytorch.ops._pieces import piecewise


@op
def tanh(x):
    """Hyperbolic tangent."""
    y = np.tanh(x)
    return y, lambda g: g * (1 - y * y)


def _sigmoid(x):
    """1 / (1 + e^-x) without overflow: e^-|x| only. Analytic, so complex x works."""
    positive = x.real > 0
    e = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1, e) / (1 + e)


@op
def sigmoid(x):
    """1 / (1 + e^-x)."""
    y = _sigmoid(x)
    return y, lambda g: g * y * (1 - y)


@op
def softplus(x, beta: float = 1.0, threshold: float = 20.0):
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold (PyTorch's rule)."""
    z = beta * x
    linear = z.real > threshold
    y = np.where(linear, x, np.log1p(np.exp(np.where(linear, 0, z))) / beta)
    return y, lambda g: g * np.where(linear, 1, _sigmoid(z))


@op
def relu(x):
    """max(x, 0); the gradient at 0 is 0."""
    y = np.maximum(x, 0)
    return y, lambda g: g * (y > 0)


@op
def leaky_relu(x, negative_slope: float = 0.01):
    """x where x > 0, negative_slope * x elsewhere."""
    positive = x.real > 0
    return np.where(positive, x, negative_slope * x), lambda g: np.where(
        positive, g, negative_slope * g
    )


@op
def silu(x):
    """x * sigmoid(x)."""
    s = _sigmoid(x)
    return x * s, lambda g: g * (s * (1 + x * (1 - s)))


@op
def erf(x):
    """Error function, to double precision."""
    return erf_of(x), lambda g: g * (2 / math.sqrt(math.pi) * np.exp(-x * x))


@op
def gelu(x, approximate: str = "none"):
    """x * P(a standard normal number is below x), or with `approximate="tanh"`
    0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). Hendrycks and Gimpel 2016.
    """
    if approximate == "none":
        cdf = normal_cdf(x)

        def slope(x, cdf):
            return cdf + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))

        return x * cdf, lambda g: piecewise(lambda g, x, cdf: g * slope(x, cdf), g, x, cdf)

    if approximate != "tanh":
        raise ValueError(f"approximate is {approximate!r}; it must be 'none' or 'tanh'")
    c = math.sqrt(2 / math.pi)
    t = piecewise(lambda x: np.tanh(c * x * (1 + 0.044715 * x * x)), x)

    def tanh_slope(x, t):
        inner = c * (1 + 3 * 0.044715 * x * x)  # derivative of the tanh's argument
        return 0.5 * (1 + t + x * (1 - t * t) * inner)

    return (
        piecewise(lambda x, t: 0.5 * x * (1 + t), x, t),
        lambda g: piecewise(lambda g, x, t: g * tanh_slope(x, t), g, x, t),
    )
