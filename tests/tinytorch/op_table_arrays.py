"""Calls of the reductions, of the shape ops and of indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.tinytorch.op_call import I, N, T, V, call

# --- reductions -------------------------------------------------------------------------------

DIMS: list[Any] = [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2)]
for dim in DIMS:
    for keep in (False, True):
        for name in ("sum", "mean", "amax", "amin", "var"):
            if dim is None:
                if not keep:
                    op = {"amax": "max", "amin": "min"}.get(name, name)
                    call(op, lambda m, x, name=name: getattr(m, name)(x), N(2, 3, 4))
                continue
            op = {"amax": "max", "amin": "min"}.get(name, name)
            call(
                op,
                lambda m, x, name=name, dim=dim, keep=keep: getattr(m, name)(
                    x, dim=dim, keepdim=keep
                ),
                N(2, 3, 4),
            )
        if dim is not None:
            call(
                "logsumexp",
                lambda m, x, dim=dim, keep=keep: m.logsumexp(x, dim, keepdim=keep),
                N(2, 3, 4, scale=9),
            )
call("logsumexp", lambda m, x: m.logsumexp(x, 0), V([1000.0, 999.0, -np.inf]))
call("logsumexp", lambda m, x: m.logsumexp(x, -1), V([[-np.inf, -np.inf], [0.0, 1.0]]))
for c in (0, 1, 2):
    call("var", lambda m, x, c=c: m.var(x, dim=0, correction=c), N(5, 3))
call("var", lambda m, x: x.var(unbiased=False), N(5, 3))
call("var", lambda m, x: x.std(1), N(5, 3))
call("var", lambda m, x: x.var(0), N(1, 3))
call("sum", lambda m, x: x.sum(), N())
call("sum", lambda m, x: x.sum(0), N(0, 3))
call("mean", lambda m, x: x.mean((0, 1)), T(N(3, 4, 2), 2, 0, 1))
TIES = V([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [3.0, 0.0, -1.0]])
call("max", lambda m, x: m.amax(x, 1), TIES)
call("max", lambda m, x: m.max(x), TIES)
call("max", lambda m, x: x.amax((0, 1), True), TIES)
call("min", lambda m, x: m.amin(x, 0), TIES)
call("min", lambda m, x: x.min(), TIES)
call("max", lambda m, x: x.max(1)[0], N(3, 4))
call("max", lambda m, x: x.max(0, keepdim=True).values, N(3, 4))
call("min", lambda m, x: m.min(x, -1).values, N(3, 4))
for dim in (0, 1, -1):
    call("cumsum", lambda m, x, dim=dim: m.cumsum(x, dim), N(3, 4, 2))

# --- shape ------------------------------------------------------------------------------------

call("reshape", lambda m, x: x.reshape(3, 4), N(2, 6))
call("reshape", lambda m, x: m.reshape(x, (-1, 2)), N(2, 6))
call("reshape", lambda m, x: x.reshape(-1), T(N(2, 3), 1, 0))
call("reshape", lambda m, x: x.view(2, 1, -1), N(2, 6))
call("reshape", lambda m, x: x.flatten(1), N(2, 3, 4))
call("reshape", lambda m, x: x.flatten(), N())
call("reshape", lambda m, x: m.flatten(x, 0, -2), N(2, 3, 4))
call("transpose", lambda m, x: x.transpose(0, 2), N(2, 3, 4))
call("transpose", lambda m, x: m.transpose(x, -1, 1), N(2, 3, 4))
call("transpose", lambda m, x: x.mT, N(2, 3, 4))
call("permute", lambda m, x: x.permute(2, 0, 1), N(2, 3, 4))
call("permute", lambda m, x: m.permute(x, (-1, 1, 0)), N(2, 3, 4))
call("permute", lambda m, x: x.permute(1, 2, 3, 0), N(2, 3, 4, 5))
call("permute", lambda m, x: x.T, N(2, 3))
call("squeeze", lambda m, x: x.squeeze(), N(1, 3, 1))
call("squeeze", lambda m, x: x.squeeze(0), N(1, 3, 1))
call("squeeze", lambda m, x: x.squeeze(1), N(1, 3, 1))
call("squeeze", lambda m, x: m.squeeze(x, (0, -1)), N(1, 3, 1))
for dim in (0, 1, 2, -1, -3):
    call("unsqueeze", lambda m, x, dim=dim: x.unsqueeze(dim), N(2, 3))
call("expand", lambda m, x: x.expand(3, 4), N(3, 1))
call("expand", lambda m, x: x.expand(2, -1, 4), N(3, 1))
call("expand", lambda m, x: x.expand((2, 2)), N())
for dim in (0, 1, -1):
    call("concat", lambda m, a, b, dim=dim: m.cat([a, b, a], dim), N(2, 3), N(2, 3))
    call("stack", lambda m, a, b, dim=dim: m.stack((a, b, b), dim), N(2, 3), N(2, 3))
call("concat", lambda m, a, b: m.cat([a, b]), N(2, 3), N(4, 3))
call("stack", lambda m, a, b: m.stack([a, b], dim=2), N(2, 3), N(2, 3))
call("getitem", lambda m, x: m.split(x, 2, 1)[1] * m.split(x, 2, 1)[0], N(3, 5))
call("getitem", lambda m, x: x.split([1, 4], dim=-1)[1], N(3, 5))
call("getitem", lambda m, x: m.cat(m.chunk(x, 3)[::-1]), N(7, 2))
call("pad", lambda m, x: m.F.pad(x, (1, 2)), N(2, 3))
call("pad", lambda m, x: m.F.pad(x, (1, 2, 0, 3), value=1.5), N(2, 3, 4))
call("pad", lambda m, x: m.F.pad(x, (-1, 2, 1, -1)), N(2, 3, 4))
call("flip", lambda m, x: m.flip(x, (0,)), N(2, 3))
call("flip", lambda m, x: x.flip(0, -1), N(2, 3, 4))
for k in (0, 1, -1):
    call("tril", lambda m, x, k=k: m.tril(x, k), N(2, 3, 4))
    call("triu", lambda m, x, k=k: x.triu(k), N(4, 4))

# --- indexing ---------------------------------------------------------------------------------

INDICES: list[Any] = [
    0,
    -1,
    slice(1, None),
    (slice(None), 1),
    (slice(None, None, 2), slice(0, 2)),
    (..., 0),
    (None, ..., slice(1, 3)),
    (1, None, slice(None), 2),
    ([0, 2, 0, 0],),
    (slice(None), [1, 1, 2]),
    ([0, 1, 0], [2, 2, 2]),
    ([0, 1], slice(None), [3, 3]),
    ([[0, 1], [1, 1]], 1),
    (slice(None), slice(None), [0, -1]),
    ([2, 2], slice(1, 2), None, [0, 0]),
    (slice(0, 0),),
]
for index in INDICES:
    call("getitem", lambda m, x, index=index: x[index], N(3, 3, 4))
call("getitem", lambda m, x: x[x > 0], N(3, 4))
call("getitem", lambda m, x, mask: x[mask], N(3, 4), V([True, False, True]))
call("getitem", lambda m, x, mask: x[:, mask], N(2, 4), V([True, False, True, True]))
call("getitem", lambda m, x, ids: x[ids], N(5, 2), I(5, 3, 4))
call("getitem", lambda m, x, i, j: x[:, i, j], N(2, 3, 4), I(3, 6), I(4, 6))
call("gather", lambda m, x, i: m.gather(x, 1, i), N(3, 4), I(4, 3, 6))
call("gather", lambda m, x, i: x.gather(0, i), N(3, 4), I(3, 5, 4))
call("gather", lambda m, x, i: x.gather(-1, i), N(3, 4, 5), I(5, 2, 3, 2))
call("gather", lambda m, x, i: x.gather(1, i), T(N(4, 3), 1, 0), I(4, 3, 1))
call("scatter_add", lambda m, x, i, s: m.scatter_add(x, 1, i, s), N(3, 4), I(4, 3, 6), N(3, 6))
call("scatter_add", lambda m, x, i, s: x.scatter_add(0, i, s), N(3, 4), I(3, 5, 2), N(5, 2))
call(
    "scatter_add", lambda m, x, i, s: x.scatter_add(-1, i, s), N(2, 3, 4), I(2, 2, 3, 3), N(2, 3, 3)
)
call("embedding", lambda m, i, w: m.F.embedding(i, w), I(5, 2, 7), N(5, 3))
call("embedding", lambda m, i, w: m.F.embedding(i, w, padding_idx=1), I(3, 9), N(3, 3))
call("embedding", lambda m, i, w: m.F.embedding(i, w), I(5), N(5, 3))
