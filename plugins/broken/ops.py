"""Ops whose pullback is wrong in one place. The forward is right, so a loss may still fall."""

from __future__ import annotations

import numpy as np

from tinytorch import op

NAMES = (
    "tanh_sign",
    "square_without_two",
    "sin_scaled",
    "relu_of_cotangent",
    "softmax_wrong_axis",
    "layer_norm_without_variance",
    "layer_norm_eps_outside",
    "matmul_untransposed",
    "embedding_assigns",
    "max_to_every_tie",
    "exp_changes_cotangent",
)


@op(name="broken_tanh_sign")
def tanh_sign(x):
    """tanh; the pullback has the wrong sign."""
    y = np.tanh(x)
    return y, lambda g: -g * (1 - y * y)


@op(name="broken_square_without_two")
def square_without_two(x):
    """x squared; the factor 2 of its derivative is missing."""
    return x * x, lambda g: g * x


@op(name="broken_sin_scaled")
def sin_scaled(x):
    """sin; the gradient is too large by one part in ten thousand."""
    return np.sin(x), lambda g: g * np.cos(x) * 1.0001


@op(name="broken_relu_of_cotangent")
def relu_of_cotangent(x):
    """relu; the pullback drops negative cotangents too."""
    return np.maximum(x, 0), lambda g: np.maximum(g, 0) * (x > 0)


@op(name="broken_softmax_wrong_axis")
def softmax_wrong_axis(x):
    """softmax over the last axis; the pullback sums over the one before it."""
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-2, keepdims=True))


@op(name="broken_layer_norm_without_variance")
def layer_norm_without_variance(x):
    """layer_norm; the pullback takes the variance for a constant."""
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) * rstd
    return y, lambda g: (g - g.mean(-1, keepdims=True)) * rstd


@op(name="broken_layer_norm_eps_outside")
def layer_norm_eps_outside(x):
    """layer_norm; eps stands inside the root forward and outside it backward."""
    eps, var = 1e-5, x.var(-1, keepdims=True)
    centred = x - x.mean(-1, keepdims=True)
    y, rstd = centred / np.sqrt(var + eps), 1 / (np.sqrt(var) + eps)

    def pullback(g):
        along = (g * y).mean(-1, keepdims=True)
        return (g - g.mean(-1, keepdims=True) - y * along) * rstd

    return y, pullback


@op(name="broken_matmul_untransposed")
def matmul_untransposed(a, b):
    """a @ b of matrices; a's pullback forgets the transpose, which a square b does not show."""
    return a @ b, lambda g: (g @ b, a.T @ g)


@op(name="broken_embedding_assigns")
def embedding_assigns(weight, ids):
    """Rows of weight; the pullback assigns instead of adding, wrong for repeated ids only."""

    def pullback(g):
        z = np.zeros_like(weight)
        z[ids] = g
        return z, None

    return weight[ids], pullback


@op(name="broken_max_to_every_tie")
def max_to_every_tie(x):
    """The largest entry of each row; every tie gets the full gradient."""
    y = x.max(-1, keepdims=True)
    return y, lambda g: g * (x == y)


@op(name="broken_exp_changes_cotangent")
def exp_changes_cotangent(x):
    """exp; the pullback multiplies into the cotangent it was given."""
    y = np.exp(x)

    def pullback(g):
        g *= y
        return g

    return y, pullback
