"""Elementwise ops. Shapes broadcast; the engine sums gradients back over broadcast axes."""

import numpy as np

from tinytorch.op import op


@op
def add(a, b):
    """a + b."""
    return a + b, lambda g: (g, g)


@op
def mul(a, b):
    """a * b, elementwise."""
    return a * b, (lambda g: g * b, lambda g: g * a)


@op
def tanh(x):
    """Hyperbolic tangent."""
    y = np.tanh(x)
    return y, lambda g: g * (1 - y * y)
