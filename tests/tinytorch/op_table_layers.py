"""Calls of normalizations, convolutions, pools and losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.tinytorch.op_call import B, I, N, P, T, V, call

# --- normalization ----------------------------------------------------------------------------

for dim in (0, 1, -1):
    call("softmax", lambda m, x, dim=dim: m.softmax(x, dim), N(3, 4, 2, scale=3))
    call("log_softmax", lambda m, x, dim=dim: m.log_softmax(x, dim), N(3, 4, 2, scale=3))
    call("softmax", lambda m, x, dim=dim: m.F.softmax(x, dim=dim), N(3, 3))
call("softmax", lambda m, x: x.softmax(0), V([1000.0, 0.0, -np.inf]))
call("log_softmax", lambda m, x: x.log_softmax(0), V([1000.0, 0.0, -1000.0]))
for shape, last in (((2, 5), (5,)), ((2, 3, 5), (5,)), ((2, 3, 5), (3, 5)), ((5, 5), (5,))):
    call(
        "layer_norm",
        lambda m, x, w, b, last=last: m.F.layer_norm(x, last, w, b),
        N(*shape),
        N(*last),
        N(*last),
    )
    call("rms_norm", lambda m, x, w, last=last: m.F.rms_norm(x, last, w), N(*shape), N(*last))
call("layer_norm", lambda m, x: m.F.layer_norm(x, (4,), eps=0.1), N(3, 4))
call("layer_norm", lambda m, x, w: m.F.layer_norm(x, (4,), w), N(3, 4), N(4))
call("layer_norm", lambda m, x, b: m.F.layer_norm(x, (4,), None, b), T(N(4, 3), 1, 0), N(4))
call("rms_norm", lambda m, x: m.F.rms_norm(x, (4,), eps=0.1), N(3, 4))
for shape in ((6, 3), (4, 3, 5), (2, 3, 4, 5)):
    for training in (True, False):
        call(
            "batch_norm",
            lambda m, x, w, b, mean, var, training=training: m.F.batch_norm(
                x, mean.detach() + 0.0, var.detach() + 0.0, w, b, training
            ),
            N(*shape),
            N(3),
            N(3),
            N(3),
            P(3),
        )
call("batch_norm", lambda m, x: m.F.batch_norm(x, None, None, training=True, eps=0.1), N(5, 3))
call("batch_norm", lambda m, x, w: m.F.batch_norm(x, None, None, w, training=True), N(5, 3), N(3))
for p in (0.0, 0.3, 1.0):
    call(
        "dropout",
        lambda m, x, mask, p=p: m.OPS["dropout"](x, mask, p),
        N(3, 4),
        B(3, 4),
        theirs=lambda m, x, mask, p=p: x * mask * (1 / (1 - p) if p < 1 else 0),
    )

# --- convolution and pooling ------------------------------------------------------------------

CONV1D: list[Any] = [
    ((2, 3, 7), (4, 3, 3), {}),
    ((2, 3, 7), (4, 3, 2), {"stride": 2, "padding": 1}),
    ((2, 4, 9), (6, 2, 3), {"groups": 2, "dilation": 2}),
    ((3, 7), (4, 3, 3), {"padding": "same"}),
    ((1, 3, 8), (3, 3, 4), {"padding": "same", "dilation": 2}),
    ((2, 3, 7), (3, 1, 7), {"groups": 3, "padding": (2,)}),
]
CONV2D: list[Any] = [
    ((2, 3, 5, 6), (4, 3, 3, 3), {}),
    ((2, 3, 5, 6), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ((2, 4, 7, 7), (6, 2, 3, 3), {"groups": 2, "stride": 2, "padding": 1}),
    ((3, 5, 6), (4, 3, 1, 1), {"padding": "valid"}),
    ((1, 3, 8, 7), (3, 3, 2, 3), {"padding": "same", "dilation": (2, 1)}),
    ((2, 3, 9, 9), (3, 1, 3, 3), {"groups": 3, "dilation": 3, "padding": 2, "stride": 3}),
    ((2, 1, 4, 4), (1, 1, 4, 4), {"padding": 3}),
]
for name, calls in (("conv1d", CONV1D), ("conv2d", CONV2D)):
    for shape, kernel, options in calls:
        call(
            name,
            lambda m, x, w, b, name=name, options=options: getattr(m.F, name)(x, w, b, **options),
            N(*shape),
            N(*kernel),
            N(kernel[0]),
        )
call("conv1d", lambda m, x, w: m.F.conv1d(x, w, None, 2, 1), T(N(7, 2, 3), 1, 2, 0), N(4, 3, 3))
call("conv2d", lambda m, x, w: m.F.conv2d(x, w, None, 2, 1, 1, 1), N(2, 3, 5, 5), N(4, 3, 3, 3))
POOLS: list[Any] = [
    ((2, 3, 6, 6), (2,)),
    ((2, 3, 7, 6), (2, 2)),
    ((2, 3, 7, 6), (3, 1)),
    ((3, 7, 6), ((3, 2), (2, 1), (1, 0))),
    ((2, 3, 7, 8), (3, 2, 1)),
]
for shape, args in POOLS:
    for name in ("max_pool2d", "avg_pool2d"):
        for ceil in (False, True):
            call(
                name,
                lambda m, x, name=name, args=args, ceil=ceil: getattr(m.F, name)(
                    x, *args, ceil_mode=ceil
                ),
                N(*shape),
            )
    call(
        "avg_pool2d",
        lambda m, x, args=args: m.F.avg_pool2d(x, *args, ceil_mode=True, count_include_pad=False),
        N(*shape),
    )
call("max_pool2d", lambda m, x: m.F.max_pool2d(x, 2, 1, 0, 2), N(1, 2, 6, 7))
call("max_pool2d", lambda m, x: m.F.max_pool2d(x, 2), V(np.ones((1, 1, 4, 4))))

# --- losses -----------------------------------------------------------------------------------

for reduction in ("mean", "sum", "none"):
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        call(
            name,
            lambda m, x, t, name=name, r=reduction: getattr(m.F, name)(x, t, reduction=r),
            N(3, 4),
            N(3, 4),
        )
    call(
        "huber_loss",
        lambda m, x, t, r=reduction: m.F.huber_loss(x, t, r, 0.3),
        N(3, 4),
        N(3, 4),
    )
    call(
        "binary_cross_entropy_with_logits",
        lambda m, x, t, r=reduction: m.F.binary_cross_entropy_with_logits(x, t, reduction=r),
        N(3, 4, scale=5),
        N(3, 4),
    )
    call(
        "binary_cross_entropy_with_logits",
        lambda m, x, t, w, p, r=reduction: m.F.binary_cross_entropy_with_logits(
            x, t, w.detach(), reduction=r, pos_weight=p.detach()
        ),
        N(3, 4, scale=5),
        N(3, 4),
        P(3, 4),
        P(4),
    )
    for shape, ids in (((5, 4), (5,)), ((4,), ()), ((2, 4, 3), (2, 3)), ((2, 4, 3, 2), (2, 3, 2))):
        for smoothing in (0.0, 0.1):
            call(
                "cross_entropy",
                lambda m, x, t, r=reduction, s=smoothing: m.F.cross_entropy(
                    x, t, reduction=r, label_smoothing=s
                ),
                N(*shape, scale=3),
                I(4, *ids),
            )
            call(
                "cross_entropy",
                lambda m, x, t, w, r=reduction, s=smoothing: m.F.cross_entropy(
                    x, t, w.detach(), ignore_index=1, reduction=r, label_smoothing=s
                ),
                N(*shape, scale=3),
                I(4, *ids) if ids else V(2),
                P(4),
            )
        call(
            "nll_loss",
            lambda m, x, t, w, r=reduction: m.F.nll_loss(
                x, t, w.detach(), ignore_index=2, reduction=r
            ),
            N(*shape),
            I(4, *ids) if ids else V(1),
            P(4),
        )
call("l1_loss", lambda m, x, t: m.F.l1_loss(x, t), V([1.0, 2.0]), V([1.0, 3.0]))
call("mse_loss", lambda m, x, t: m.F.mse_loss(x, t.detach()), N(3, 1), N(3, 1))
call("nll_loss", lambda m, x, t: m.F.nll_loss(m.F.log_softmax(x, 1), t), N(5, 3), I(3, 5))
call("cross_entropy", lambda m, x, t: m.F.cross_entropy(x, t), N(6, 6), I(6, 6))
call("cross_entropy", lambda m, x, t: m.F.cross_entropy(x, t), N(2, 3), V([-100, -100]))
call(
    "cross_entropy",
    lambda m, x, t: m.F.cross_entropy(x, t),
    V([[1e3, 0.0], [-1e3, 1e3]]),
    V([1, 0]),
)
