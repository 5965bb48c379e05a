"""Ops with a wrong pullback, in plain numpy: arrays in, the result and its pullback out.

The forward is right, so a loss may still fall. `# fault: <name>` marks the line that a reader would
have to change. Tests, the cases of broken ops and the comparison with other tools share them; no
framework is imported here.
"""

from __future__ import annotations

import math

import numpy as np

erf = np.vectorize(math.erf)


def tanh_sign(x):
    """tanh; the pullback has the wrong sign."""
    y = np.tanh(x)
    return y, lambda g: -g * (1 - y * y)  # fault: tanh_sign


def square_without_two(x):
    """x squared; the factor 2 of its derivative is missing."""
    return x * x, lambda g: g * x  # fault: square_without_two


def sin_scaled(x):
    """sin; the gradient is too large by one part in ten thousand."""
    return np.sin(x), lambda g: g * np.cos(x) * 1.0001  # fault: sin_scaled


def relu_of_cotangent(x):
    """relu; the pullback drops negative cotangents too."""
    return np.maximum(x, 0), lambda g: np.maximum(g, 0) * (x > 0)  # fault: relu_of_cotangent


def softmax_wrong_axis(x):
    """softmax over the last axis; the pullback sums over the one before it."""
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(-2, keepdims=True))  # fault: softmax_wrong_axis


def layer_norm_without_variance(x):
    """layer_norm; the pullback treats the variance as a constant."""
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) * rstd
    return y, lambda g: (g - g.mean(-1, keepdims=True)) * rstd  # fault: layer_norm_without_variance


def layer_norm_eps_outside(x):
    """layer_norm; eps is inside the root forward and outside it backward."""
    eps, var = 1e-5, x.var(-1, keepdims=True)
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt(var + eps)
    rstd = 1 / (np.sqrt(var) + eps)  # fault: layer_norm_eps_outside

    def pullback(g):
        along = (g * y).mean(-1, keepdims=True)
        return (g - g.mean(-1, keepdims=True) - y * along) * rstd

    return y, pullback


def matmul_untransposed(a, b):
    """a @ b of matrices; a's pullback forgets the transpose, which a square b does not show."""
    return a @ b, lambda g: (g @ b, a.T @ g)  # fault: matmul_untransposed


def embedding_assigns(weight, ids):
    """Rows of weight; the pullback assigns instead of adding, wrong for repeated ids only."""

    def pullback(g):
        z = np.zeros_like(weight)
        z[ids] = g  # fault: embedding_assigns
        return z, None

    return weight[ids], pullback


def max_to_every_tie(x):
    """The largest entry of each row; every tie gets the full gradient."""
    y = x.max(-1, keepdims=True)
    return y, lambda g: g * (x == y)  # fault: max_to_every_tie


def exp_changes_cotangent(x):
    """exp; the pullback multiplies into the cotangent it was given."""
    y = np.exp(x)

    def pullback(g):
        g *= y  # fault: exp_changes_cotangent
        return g

    return y, pullback


def one_entry(x):
    """sin; the last entry of the gradient is off by 1 %."""
    factor = np.ones(x.shape)
    factor.reshape(-1)[-1] = 1.01

    def pullback(g):
        return g * np.cos(x) * factor  # fault: one_entry

    return np.sin(x), pullback


def layer_norm_unbiased(x):
    """layer_norm; the pullback divides the variance by n - 1."""
    centred, var = x - x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    n = x.shape[-1]
    y = centred / np.sqrt(var + 1e-5)

    def pullback(g):
        rstd = 1 / np.sqrt(var * n / (n - 1) + 1e-5)  # fault: layer_norm_unbiased
        return (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) * rstd

    return y, pullback


def gelu_mixed(x):
    """gelu in its exact form; the pullback is that of the tanh form."""
    y = x * (1 + erf(x / np.sqrt(2))) / 2

    def pullback(g):
        t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))  # fault: gelu_mixed
        dt = (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        return g * ((1 + t) / 2 + x * dt / 2)

    return y, pullback


def cotangent_size(x):
    """exp; the pullback ignores the size of its cotangent."""
    return np.exp(x), lambda g: np.sign(g) * np.exp(x)  # fault: cotangent_size


def second_call(x):
    """exp; the pullback spoils what it saved, so a second call differs."""
    y = np.exp(x)

    def pullback(g):
        result = g * y
        y[...] *= 2  # fault: second_call
        return result

    return np.exp(x), pullback


def used_twice(x):
    """x sin(x); the pullback counts one of the two uses of x."""
    y = x * np.sin(x)
    return y, lambda g: g * np.sin(x)  # fault: used_twice


def raw_buffer(x):
    """sin; the pullback is wrong for arrays that are not contiguous."""

    def pullback(g):
        inner = np.cos(np.ravel(x, order="K").reshape(x.shape))  # fault: raw_buffer
        return g * inner

    return np.sin(x), pullback


def cross_entropy_sum(logits, ids):
    """Mean cross-entropy; the pullback does not divide by the batch."""
    shifted = logits - logits.max(-1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    rows = np.arange(len(ids))

    def pullback(g):
        d = p.copy()
        d[rows, ids] -= 1
        return g * d, None  # fault: cross_entropy_sum

    return np.asarray(-np.log(p[rows, ids]).mean()), pullback


def norm_at_zero(x):
    """The length of each row; the gradient of a row of zeros is NaN."""
    y = np.sqrt((x * x).sum(-1, keepdims=True))
    return y, lambda g: g * x / y  # fault: norm_at_zero
