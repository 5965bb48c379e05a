"""Matrix products: matmul, linear, einsum."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tinytorch.autograd import unbroadcast
from tinytorch.operation import op


def _t(x):
    """Transpose of the last two axes."""
    return np.swapaxes(x, -1, -2)


@op
def matmul(a, b):
    """a @ b: (..., n, k) @ (..., k, m) -> (..., n, m), leading axes broadcast, vectors as in numpy.

    dA = G Bᵀ, dB = Aᵀ G, where a vector stands for a matrix of one row (a) or one column (b).
    """
    y = np.matmul(a, b)
    row, column = a.ndim == 1, b.ndim == 1

    def as_matrix(g):
        g = g[..., None] if column else g
        return g[..., None, :] if row else g

    def left(g):
        ga = np.matmul(as_matrix(g), _t(b[:, None] if column else b))
        return ga[..., 0, :] if row else ga

    def right(g):
        if b.ndim == 2 and a.ndim > 2:  # one product over all batches instead of one for each
            return np.matmul(_rows(a).T, _rows(g))
        gb = np.matmul(_t(a[None, :] if row else a), as_matrix(g))
        return gb[..., 0] if column else gb

    return y, (left, right)


def _rows(x):
    """(..., n) -> (rows, n)."""
    return x.reshape(-1, x.shape[-1])


@op
def linear(x, weight, bias=None):
    """x weightᵀ + bias: x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    if weight.ndim > 2:  # copies of the weight along leading axes
        y = np.matmul(x, _t(weight))
    else:
        y = np.matmul(_rows(x), weight.T).reshape(*x.shape[:-1], weight.shape[0])
    if bias is not None:
        if bias.ndim == 1 and bias.dtype == y.dtype:
            y += bias
        else:
            y = y + bias
    return y, (
        lambda g: np.matmul(_rows(g), weight).reshape(*g.shape[:-1], weight.shape[-1]),
        lambda g: np.matmul(_rows(g).T, _rows(x)),
        lambda g: _rows(g).sum(axis=0),
    )


@op
def einsum(equation: str, *operands):
    """Sum of products over labelled axes, as numpy's and PyTorch's einsum.

    The cotangent of an operand is the einsum of g with the other operands, with the operand's
    labels as result; labels that only this operand has were summed, so there it repeats.
    A label twice in one operand (a diagonal) is refused.
    """
    terms, result = _parse(equation, len(operands))
    moved = [_ellipsis_first(x, term) for x, term in zip(operands, terms)]
    labels = [term.replace("...", "") for term in terms]
    y = np.einsum(",".join("..." + t for t in labels) + "->" + result, *moved, optimize=True)

    def for_operand(i):
        shape = moved[i].shape
        others = moved[:i] + moved[i + 1 :]
        terms_of_others = ["..." + t for t in labels[:i] + labels[i + 1 :]]
        elsewhere = set("".join([result, *terms_of_others]))
        known = "".join(c for c in labels[i] if c in elsewhere)
        only_here = [k - len(labels[i]) for k, c in enumerate(labels[i]) if c not in elsewhere]
        contract = ",".join([result, *terms_of_others]) + "->..." + known

        def pullback(g):
            part = np.einsum(contract, g, *others, optimize=True)
            part = np.expand_dims(part, tuple(only_here))
            part = np.broadcast_to(unbroadcast(part, shape), shape)
            return _ellipsis_back(part, terms[i])

        return pullback

    return y, tuple(for_operand(i) for i in range(len(operands)))


def _ellipsis_first(x, term: str):
    """Axes `i...j` -> `...ij`."""
    before, after = (len(t) for t in term.split("..."))
    n = x.ndim - before - after
    return np.moveaxis(x, range(before, before + n), range(n))


def _ellipsis_back(x, term: str):
    """Axes `...ij` -> `i...j`."""
    before, after = (len(t) for t in term.split("..."))
    n = x.ndim - before - after
    return np.moveaxis(x, range(n), range(before, before + n))


def _parse(equation: str, count: int) -> tuple[list[str], str]:
    """(terms, result), every term with an ellipsis so that extra leading axes are carried along."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != count:
        raise ValueError(f"{equation!r} names {len(terms)} operands, got {count}")
    labels = [t.replace("...", "") for t in terms]
    for term in labels:
        for label, times in Counter(term).items():
            if not label.isalpha():
                raise ValueError(f"{label!r} in {equation!r} is no axis label; use letters")
            if times > 1:
                raise ValueError(
                    f"label {label!r} stands twice in the operand {term!r} of {equation!r}; "
                    "a diagonal has no pullback here, take it by indexing first"
                )
    if not arrow:
        times_in_all = Counter("".join(labels))
        result = "..." + "".join(sorted(c for c, n in times_in_all.items() if n == 1))
    elif "..." in left and "..." not in result:
        raise ValueError(f"{equation!r} has '...' before the arrow only; sum those axes explicitly")
    unknown = set(result.replace("...", "")) - set("".join(labels))
    if unknown:
        raise ValueError(f"label {min(unknown)!r} of the result of {equation!r} is in no operand")
    return [t if "..." in t else "..." + t for t in terms], (
        result if "..." in result else "..." + result
    )
