"""Calls of the elementwise ops, the activations and the products."""

from __future__ import annotations

from typing import Any

from tests.tinytorch.op_call import B, N, P, T, V, call

# --- elementwise ------------------------------------------------------------------------------

BROADCAST = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 1, 3), (4, 1)),
    ((1,), ()),
]
for left, right in BROADCAST:
    call("add", lambda m, a, b: a + b, N(*left), N(*right))
    call("sub", lambda m, a, b: a - b, N(*left), N(*right))
    call("mul", lambda m, a, b: a * b, N(*left), N(*right))
    call("div", lambda m, a, b: a / b, N(*left), P(*right))
    call("pow", lambda m, a, b: a**b, P(*left), N(*right))
    call("maximum", lambda m, a, b: m.maximum(a, b), N(*left), N(*right))
    call("minimum", lambda m, a, b: m.minimum(a, b), N(*left), N(*right))
    call("where", lambda m, a, b: m.where(a > b, a, b * 2), N(*left), N(*right))
for k in (0, 1, 2, 3, -1, 0.5, 2.0):
    call("pow", lambda m, a, k=k: a**k, P(3, 2))
    call("pow", lambda m, a, k=k: k**a if k > 0 else a + 0.0, N(3, 2))
call("pow", lambda m, a: a**3, N(5))
call("pow", lambda m, a: a**2, V([0.0, -1.0, 2.0]))
call("pow", lambda m, a: a**0, V([0.0, -1.0, 2.0]))
call("pow", lambda m, a, b: a**b, V([0.0, 0.0, 2.0, 3.0]), V([0.0, 2.0, 0.0, -1.0]))
call("add", lambda m, a: 2 + a + 1.5, N(3))
call("sub", lambda m, a: 2 - a - 0.5, N(3))
call("mul", lambda m, a: 3 * a * 0.5, N(3))
call("div", lambda m, a: 1 / (a / 2.0), P(3))
call("neg", lambda m, a: -a, N(2, 3))
call("maximum", lambda m, a, b: m.maximum(a, b), V([1.0, 2.0, 3.0]), V([1.0, 3.0, 3.0]))
call("minimum", lambda m, a, b: m.minimum(a, b), V([1.0, 2.0, 3.0]), V([1.0, 3.0, 3.0]))
call("where", lambda m, c, a, b: m.where(c, a, b), B(2, 3), N(2, 3), N(3))
call("where", lambda m, c, a: m.where(c, a, 0.0), B(2, 3), N(2, 3))
call("clip", lambda m, a: m.clip(a, -0.5, 0.5), N(4, 5))
call("clip", lambda m, a: m.clamp(a, min=0.0), V([-1.0, 0.0, 2.0]))
call("clip", lambda m, a: a.clamp(max=0.25), V([-1.0, 0.25, 2.0]))
call("abs", lambda m, a: m.abs(a), N(4))
call("abs", lambda m, a: a.abs(), V([0.0, -1.0]))
for name in ("exp", "sin", "cos", "tanh", "sigmoid", "erf", "relu"):
    call(name, lambda m, a, name=name: getattr(m, name)(a), N(3, 4, scale=2))
    call(name, lambda m, a, name=name: getattr(m, name)(a), V([0.0, 1.0, -1.0, 8.0, -8.0]))
    call(name, lambda m, a, name=name: getattr(a, name)(), T(N(3, 4), 1, 0))
for name in ("log", "log1p", "sqrt"):
    call(name, lambda m, a, name=name: getattr(m, name)(a), P(3, 4))
    call(name, lambda m, a, name=name: getattr(a, name)(), P())
call("sqrt", lambda m, a: a.sqrt(), V([0.0, 4.0]))
call("sigmoid", lambda m, a: m.sigmoid(a), V([-700.0, -40.0, 40.0, 700.0]))
call("clone", lambda m, a: a.clone(), N(2, 3))
call("cast", lambda m, a: a.to(m.float32).to(m.float64) * a, N(2, 3))

# --- activations ------------------------------------------------------------------------------

call("softplus", lambda m, a: m.F.softplus(a), N(3, 4, scale=5))
call("softplus", lambda m, a: m.F.softplus(a, 2.0, 3.0), N(3, 4, scale=5))
call("softplus", lambda m, a: m.F.softplus(a), V([-800.0, 0.0, 19.9, 20.0, 20.1, 800.0]))
call("leaky_relu", lambda m, a: m.F.leaky_relu(a), V([-2.0, 0.0, 3.0]))
call("leaky_relu", lambda m, a: m.F.leaky_relu(a, 0.2), N(3, 4))
call("silu", lambda m, a: m.F.silu(a), N(3, 4, scale=3))
call("gelu", lambda m, a: m.F.gelu(a), N(3, 4, scale=2))
call("gelu", lambda m, a: m.F.gelu(a, approximate="tanh"), N(3, 4, scale=2))
call("gelu", lambda m, a: m.F.gelu(a), V([0.0, -9.0, 9.0, 0.46]))

# --- products ---------------------------------------------------------------------------------

PRODUCTS = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((3, 3), (3, 3)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((1, 5, 2, 3), (6, 1, 3, 4)),
]
for left, right in PRODUCTS:
    call("matmul", lambda m, a, b: a @ b, N(*left), N(*right))
call("matmul", lambda m, a, b: a @ b, T(N(3, 2), 1, 0), T(N(4, 3), 1, 0))
for lead in ((), (2,), (2, 5), (1, 2, 2)):
    call("linear", lambda m, x, w, b: m.F.linear(x, w, b), N(*lead, 3), N(4, 3), N(4))
call("linear", lambda m, x, w: m.F.linear(x, w), N(2, 3), N(3, 3))
call("linear", lambda m, x, w: m.F.linear(x, w), T(N(3, 2, 5), 1, 2, 0), T(N(3, 4), 1, 0))
EINSUMS: list[tuple[str, Any]] = [
    ("ij,jk->ik", ((2, 3), (3, 4))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("bij,bjk->bik", ((5, 2, 3), (5, 3, 4))),
    ("bthd,bshd->bhts", ((2, 3, 2, 4), (2, 5, 2, 4))),
    ("i,j->ij", ((2,), (3,))),
    ("i,i->", ((3,), (3,))),
    ("ij->ji", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ijk->j", ((2, 3, 4),)),
    ("ij,kj->k", ((2, 3), (4, 3))),
    ("...i,ij->...j", ((2, 5, 3), (3, 4))),
    ("i...,i->...", ((3, 2, 5), (3,))),
    ("i...j,...jk->k...i", ((3, 2, 5, 4), (5, 4, 2))),
    ("...ij,...j->...i", ((2, 3, 4), (1, 4))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
    ("a b, b -> a", ((2, 3), (3,))),
    ("...->...", ((2, 3),)),
    ("ij,jk->ik", ((2, 1), (3, 4))),
]
for equation, shapes in EINSUMS:
    call(
        "einsum",
        lambda m, *xs, e=equation: m.einsum(e, *xs),
        *(N(*shape) for shape in shapes),
    )
