"""The adapter of oddgrad, and a plugin that contributes it with what its cases need.

Imports nothing of tinytorch, so that it also serves where tinytorch is not to be had.
"""

import random

import numpy as np
from oddgrad import Descent, Net, Var, affine, squared_error, tanh, wrong_tanh

from gradcheck import hookimpl
from gradcheck.frameworks.calling import call_op
from gradcheck.frameworks.protocol import Precision
from gradcheck.frameworks.walk import walk_leaves


class Oddgrad:
    name = "oddgrad"
    precision = Precision(data="float64", gradients="float32")

    def manual_seed(self, seed):
        np.random.seed(seed)
        random.seed(seed)

    def leaf(self, array, *, trainable, dtype=None):
        array = np.array(array)
        return Var(array.astype(dtype) if dtype and array.dtype.kind == "f" else array)

    def named_parameters(self, model):
        return {name: var for name, var in walk_leaves(model, Var) if not var.ways}

    def optimized(self, model):
        return model.variables()

    def cast(self, model, dtype):
        for var in self.named_parameters(model).values():
            var.value = var.value.astype(dtype)

    def train_mode(self, model, training):
        pass

    def get(self, leaf):
        return leaf.value.copy()

    def set(self, leaf, array):
        leaf.value = np.array(array, leaf.value.dtype)

    def trainable(self, leaf):
        return True

    def forward(self, fn, *, seed):
        self.manual_seed(seed)
        return fn()

    def value(self, output):
        return np.array(output.value)

    def backward(self, output, cotangent):
        output.pull(np.ones_like(output.value) if cotangent is None else cotangent)

    def grad(self, leaf):
        return leaf.gradient.copy()

    def zero_grad(self, leaves):
        for leaf in leaves:
            leaf.gradient = np.zeros(leaf.value.shape, np.float32)

    def call(self, op, inputs, args):
        return call_op(op, inputs, args)


class Waves:
    """sin(x0) * x1 on a seeded cloud of points."""

    source = "waves from a seeded generator"

    def __init__(self):
        self.x = np.random.default_rng(0).normal(size=(64, 2))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], np.sin(self.x[i, :1]) * self.x[i, 1:]


def deaf_net(inputs, hidden):
    """The first affine map is taken out of the graph."""
    return Net(inputs, hidden, bend=lambda h: Var(np.tanh(h.value)))


@hookimpl
def gradcheck_register(register):
    register.framework("oddgrad", Oddgrad)
    for op in (affine, tanh, wrong_tanh):
        register.op(op.__name__, op, framework="oddgrad")
    register.model("net", Net, framework="oddgrad")
    register.model("wrong_net", lambda **a: Net(**a, bend=wrong_tanh), framework="oddgrad")
    register.model("deaf_net", deaf_net, framework="oddgrad")
    register.loss("squared_error", squared_error, framework="oddgrad")
    register.optimizer("descent", Descent, framework="oddgrad")
    register.dataset("waves", Waves)
