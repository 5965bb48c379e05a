"""A second framework, with other habits than tinytorch.

Gradients are float32 whatever the data is; they are zeros, never None; parameters have no names and
come in random order; backward erases the graph.
"""

import random

import numpy as np


class Var:
    """An array with a gradient. `ways`: (parent, gradient of this -> gradient of the parent)."""

    def __init__(self, value, ways=()):
        self.value = np.asarray(value)
        self.gradient = np.zeros(self.value.shape, np.float32)
        self.ways = list(ways)

    def pull(self, g):
        """Add d(sum(self * g)) to the gradients of all that this was made from; erase the graph."""
        order, seen = [], set()

        def visit(var):
            if id(var) not in seen:
                seen.add(id(var))
                for parent, _ in var.ways:
                    visit(parent)
                order.append(var)

        visit(self)
        self.gradient = np.asarray(g, np.float32)
        for var in reversed(order):
            for parent, way in var.ways:
                part = way(var.gradient)
                while part.ndim > parent.value.ndim:
                    part = part.sum(0)
                for axis, size in enumerate(parent.value.shape):
                    if size == 1 != part.shape[axis]:
                        part = part.sum(axis, keepdims=True)
                parent.gradient = (parent.gradient + part).astype(np.float32)
            var.ways = []


def affine(x, w, b):
    y = x.value @ w.value + b.value
    return Var(y, [(x, lambda g: g @ w.value.T), (w, lambda g: x.value.T @ g), (b, lambda g: g)])


def tanh(x):
    y = np.tanh(x.value)
    return Var(y, [(x, lambda g: g * (1 - y * y))])


def wrong_tanh(x):
    """The square of y is missing: wrong by a factor that depends on x."""
    y = np.tanh(x.value)
    return Var(y, [(x, lambda g: g * (1 - y))])


def squared_error(out, target):
    d = out.value - target.value
    return Var(np.mean(d * d), [(out, lambda g: g * 2 * d / d.size)])


class Net:
    """Two affine maps. Its variables hang in a plain list of lists."""

    def __init__(self, inputs, hidden, bend=tanh):
        draw = np.random.normal
        self.bend = bend
        self.stages = [
            [Var(draw(size=(inputs, hidden)) / 2), Var(np.zeros(hidden))],
            [Var(draw(size=(hidden, 1)) / 2), Var(np.zeros(1))],
        ]

    def variables(self):
        found = [var for stage in self.stages for var in stage]
        random.shuffle(found)
        return found

    def __call__(self, x):
        return affine(self.bend(affine(x, *self.stages[0])), *self.stages[1])


class Descent:
    """Plain gradient descent."""

    def __init__(self, variables, lr):
        self.variables = variables
        self.lr = lr

    def zero_grad(self):
        for var in self.variables:
            var.gradient = np.zeros(var.value.shape, np.float32)

    def step(self):
        for var in self.variables:
            var.value = var.value - self.lr * var.gradient
