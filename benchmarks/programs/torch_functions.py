"""Functions of PyTorch at points where a hasty checker goes wrong: domains, layouts, ties, masks."""

# ruff: noqa: E501  a row is a program

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from programs.drawing import Array, Draw, Program

Row = tuple[Callable[..., Any], Callable[[Draw], Sequence[Array]]]


def one(kind: str, *shape: int) -> Callable[[Draw], Sequence[Array]]:
    """One array of a kind of `Draw`."""
    return lambda d: [getattr(d, kind)(*shape)]


def some(*kinds: str, shape: tuple[int, ...] = (3, 4)) -> Callable[[Draw], Sequence[Array]]:
    """Arrays of one shape."""
    return lambda d: [getattr(d, kind)(*shape) for kind in kinds]


UNARY = {
    "normal": "sin cos tanh sigmoid exp expm1 atan sinh cosh asinh erf erfc square softsign "
    "relu relu6 elu selu celu gelu silu mish softplus logsigmoid tanhshrink hardtanh hardswish "
    "leaky_relu softshrink hardshrink abs neg sinc exp2 deg2rad frac logit_of_sigmoid i0 i0e i1 "
    "erfcx ndtr log_ndtr floor sign",
    "positive": "log log2 log10 log1p sqrt rsqrt reciprocal lgamma digamma xlogx pow_third "
    "entr bessel_j0 polygamma",
    "inside": "asin acos atanh erfinv",
    "unit": "logit logit_eps binary_entropy ndtri",
    "above_one": "acosh",
    "large": "tanh sigmoid softplus logsigmoid silu gelu erf mish elu log1p_exp_twice",
    "tiny": "expm1 sin sinc tanh sigmoid gelu log1p abs",
    "rounded": "relu hardtanh abs leaky_relu hardshrink relu6 hardswish",
    "zeros": "relu tanh sinc abs gelu silu softplus asinh hardswish",
}
OWN: dict[str, Callable[[Any], Any]] = {
    "logit_of_sigmoid": lambda x: torch.logit(torch.sigmoid(x)),
    "xlogx": lambda x: torch.xlogy(x, x),
    "pow_third": lambda x: x ** (1 / 3),
    "polygamma": lambda x: torch.polygamma(1, x),
    "logit_eps": lambda x: torch.logit(x, eps=0.1),
    "binary_entropy": lambda p: -p * p.log() - (1 - p) * torch.log1p(-p),
    "log1p_exp_twice": lambda x: torch.logaddexp(x, -x) - x.abs(),
    "sinc": torch.sinc,
}


def unary(name: str) -> Callable[..., Any]:
    for where in (OWN, vars(torch), vars(F), vars(torch.special)):
        if name in where:
            return where[name]
    return lambda x: getattr(torch.special, name)(x)


def unaries() -> Iterator[tuple[str, Row]]:
    for kind, names in UNARY.items():
        for name in names.split():
            if name != "bessel_j0":  # has no derivative in PyTorch
                yield f"{name} {kind}", (unary(name), one(kind, 3, 4))


BINARY: dict[str, Row] = {
    "add broadcast": (torch.add, lambda d: [d.normal(3, 1), d.normal(1, 4)]),
    "sub alpha": (lambda a, b: torch.sub(a, b, alpha=2), some("normal", "normal")),
    "mul scalar": (torch.mul, lambda d: [d.normal(3, 4), d.normal()]),
    "div": (torch.div, some("normal", "positive")),
    "div floor": (lambda a, b: torch.div(a, b, rounding_mode="floor") + a, some("large", "positive")),
    "fmod": (torch.fmod, some("large", "positive")),
    "remainder": (torch.remainder, some("large", "positive")),
    "pow": (torch.pow, some("positive", "normal")),
    "pow negative base": (lambda a: a**3, one("normal", 4)),
    "float_power": (lambda a: torch.float_power(a, 2.5), one("positive", 4)),
    "maximum": (torch.maximum, some("normal", "normal")),
    "maximum tied": (torch.maximum, some("rounded", "rounded")),
    "minimum tied": (torch.minimum, some("rounded", "rounded")),
    "fmax": (torch.fmax, some("normal", "normal")),
    "atan2": (torch.atan2, some("normal", "positive")),
    "atan2 left": (torch.atan2, lambda d: [d.positive(4), -d.positive(4)]),
    "hypot": (torch.hypot, some("normal", "normal")),
    "logaddexp": (torch.logaddexp, some("normal", "normal")),
    "logaddexp apart": (torch.logaddexp, some("large", "large")),
    "logaddexp2": (torch.logaddexp2, some("normal", "normal")),
    "xlogy": (torch.xlogy, some("positive", "positive")),
    "xlog1py": (torch.special.xlog1py, some("normal", "positive")),
    "copysign": (torch.copysign, some("positive", "normal")),
    "lerp": (torch.lerp, some("normal", "normal", "unit")),
    "addcmul": (lambda a, b, c: torch.addcmul(a, b, c, value=0.5), some("normal", "normal", "normal")),
    "addcdiv": (torch.addcdiv, some("normal", "normal", "positive")),
    "where": (lambda m, a, b: torch.where(m, a, b), some("mask", "normal", "normal")),
    "where guards": (lambda x: torch.where(x > 0, x.clamp(min=1e-3).log(), x), one("normal", 3, 4)),
    "clamp tensor": (torch.clamp, lambda d: [d.normal(3, 4), d.inside(4) - 1, d.inside(4) + 1]),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), one("normal", 3, 4)),
    "clamp tied": (lambda x: x.clamp(-0.5, 0.5), one("rounded", 3, 4)),
    "heaviside product": (lambda x: (x > 0) * x**2, one("normal", 3, 4)),
    "dist": (lambda a, b: torch.dist(a, b, 2), some("normal", "normal")),
    "cdist": (torch.cdist, lambda d: [d.normal(3, 4), d.normal(5, 4)]),
    "cdist one": (lambda a, b: torch.cdist(a, b, p=1), lambda d: [d.normal(3, 4), d.normal(2, 4)]),
    "pairwise_distance": (F.pairwise_distance, some("normal", "normal")),
    "cosine_similarity": (F.cosine_similarity, some("normal", "normal")),
    "outer": (torch.outer, lambda d: [d.normal(3), d.normal(4)]),
    "cross": (torch.linalg.cross, some("normal", "normal", shape=(4, 3))),
    "kron": (torch.kron, lambda d: [d.normal(2, 2), d.normal(2, 3)]),
    "bilinear": (F.bilinear, lambda d: [d.normal(3, 2), d.normal(3, 4), d.normal(2, 2, 4)]),
    "einsum trace": (lambda a, b: torch.einsum("bij,bjk->bik", a, b), lambda d: [d.normal(2, 3, 4), d.normal(2, 4, 2)]),
    "einsum diagonal": (lambda a: torch.einsum("ii->i", a), one("normal", 4, 4)),
    "tensordot": (lambda a, b: torch.tensordot(a, b, 2), lambda d: [d.normal(2, 3, 4), d.normal(3, 4, 2)]),
    "baddbmm": (lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5), lambda d: [d.normal(2, 3, 2), d.normal(2, 3, 4), d.normal(2, 4, 2)]),
    "addr": (torch.addr, lambda d: [d.normal(3, 4), d.normal(3), d.normal(4)]),
    "poisson nll by hand": (lambda x, y: x.exp() - y * x, some("normal", "positive")),
    "kl term of a VAE": (lambda m, s: 0.5 * (m**2 + s.exp() - s - 1), some("normal", "normal")),
    "kl term far out": (lambda s: 0.5 * (s.exp() - s - 1), one("large", 3, 4)),
    "gaussian in log scale": (lambda x, m, s: s + 0.5 * ((x - m) * (-s).exp()) ** 2, some("normal", "normal", "normal")),
    "exp plus x": (lambda x: x.exp() + x, one("large", 3, 4)),
    "exp minus three x": (lambda x: x.exp() - 3 * x, one("large", 5)),
}  # fmt: skip

REDUCTIONS: dict[str, Row] = {
    **{
        f"{name} {kind}": ((lambda n: lambda x: getattr(torch, n)(x, -1))(name), one(kind, 3, 4))
        for name in ("sum", "mean", "prod", "amax", "amin", "logsumexp", "std", "var", "cumsum",
                     "cumprod", "softmax", "log_softmax", "nansum", "nanmean", "logcumsumexp")
        for kind in ("normal", "rounded")
        if (name, kind) not in {("std", "rounded"), ("prod", "rounded"), ("cumprod", "rounded")}
    },
    "softmax saturated": (lambda x: x.softmax(-1), one("large", 3, 6)),
    "log_softmax saturated": (lambda x: x.log_softmax(-1), one("large", 3, 6)),
    "logsumexp apart": (lambda x: torch.logsumexp(x, (0, 1)), one("large", 3, 4)),
    "softmax constant": (lambda x: x.softmax(-1), one("constant", 3, 4)),
    "softmin": (lambda x: F.softmin(x, 0), one("normal", 3, 4)),
    "prod with a zero": (lambda x: (x * torch.tensor([0.0, 1, 1, 1])).prod(-1), one("normal", 3, 4)),
    "prod zeros": (lambda x: x.prod(), one("zeros", 4)),
    "var unbiased of two": (lambda x: x.var(0), one("normal", 2, 4)),
    "std_mean": (lambda x: torch.std_mean(x, 1), one("normal", 3, 4)),
    "aminmax": (lambda x: torch.aminmax(x), one("normal", 3, 4)),
    "max with index": (lambda x: x.max(1).values, one("rounded", 3, 4)),
    "median odd": (lambda x: x.median(-1).values, one("normal", 3, 5)),
    "median even": (lambda x: x.median(-1).values, one("normal", 3, 4)),
    "nanmedian": (lambda x: x.nanmedian(), one("normal", 3, 5)),
    "quantile": (lambda x: torch.quantile(x, 0.3, -1), one("normal", 3, 5)),
    "quantiles": (lambda x: torch.quantile(x, torch.tensor([0.2, 0.7], dtype=x.dtype)), one("normal", 7)),
    "kthvalue": (lambda x: x.kthvalue(2, -1).values, one("normal", 3, 5)),
    "mode": (lambda x: x.mode(-1).values, one("normal", 3, 5)),
    "topk": (lambda x: x.topk(2, -1).values, one("normal", 3, 5)),
    "topk tied": (lambda x: x.topk(2, -1).values, one("rounded", 3, 5)),
    "topk constant": (lambda x: x.topk(2, -1).values, one("constant", 3, 5)),
    "sort": (lambda x: x.sort(-1).values, one("normal", 3, 5)),
    "sort tied": (lambda x: x.sort(dim=-1, stable=True).values, one("rounded", 3, 5)),
    "cummax": (lambda x: x.cummax(-1).values, one("normal", 3, 5)),
    "norm": (lambda x: torch.linalg.vector_norm(x), one("normal", 3, 4)),
    "norm one": (lambda x: torch.linalg.vector_norm(x, 1, -1), one("normal", 3, 4)),
    "norm inf": (lambda x: torch.linalg.vector_norm(x, torch.inf, -1), one("normal", 3, 4)),
    "norm three": (lambda x: torch.linalg.vector_norm(x, 3, -1), one("normal", 3, 4)),
    "norm at zero": (lambda x: torch.linalg.vector_norm(x, dim=-1), one("zeros", 3, 4)),
    "normalize": (lambda x: F.normalize(x, dim=-1), one("normal", 3, 4)),
    "renorm": (lambda x: x.renorm(2, 0, 1.0), one("normal", 3, 4)),
    "trapezoid": (lambda x: torch.trapezoid(x, dx=0.5), one("normal", 3, 4)),
    "cov": (torch.cov, one("normal", 3, 6)),
    "corrcoef": (torch.corrcoef, one("normal", 3, 6)),
    "diff": (lambda x: torch.diff(x, 2), one("normal", 3, 6)),
    "gradient": (lambda x: torch.gradient(x, dim=1)[0], one("normal", 3, 6)),
}  # fmt: skip

SHAPES: dict[str, Row] = {
    name: (fn, one("normal", 3, 4))
    for name, fn in {
        "transpose": lambda x: x.T, "flip": lambda x: x.flip(0, 1), "roll": lambda x: x.roll(2, 1),
        "rot90": torch.rot90, "view": lambda x: x.contiguous().view(-1), "reshape": lambda x: x.reshape(2, 6),
        "unfold": lambda x: x.unfold(1, 2, 1), "expand": lambda x: x[:, None].expand(3, 2, 4),
        "repeat": lambda x: x.repeat(2, 1), "repeat_interleave": lambda x: x.repeat_interleave(2, 0),
        "tile": lambda x: x.tile(2), "tril": torch.tril, "triu": lambda x: x.triu(1),
        "diag": lambda x: x[:, :3].diag(), "diag_embed": torch.diag_embed, "diagonal": lambda x: x.diagonal(1),
        "narrow": lambda x: x.narrow(1, 1, 2), "chunk": lambda x: x.chunk(2, 1)[1], "split": lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1),
        "stack": lambda x: torch.stack([x, x * 2]), "cat with itself": lambda x: torch.cat([x, x]), "unbind": lambda x: x.unbind(1)[2],
        "movedim": lambda x: x[None].movedim(0, -1), "squeeze": lambda x: x[:1].squeeze(0), "slice step": lambda x: x[:, ::2],
        "negative step": lambda x: x.flip(1)[:, 1:], "ellipsis": lambda x: x[..., None, 1], "pad constant": lambda x: F.pad(x, (1, 2), value=1.0),
        "pad reflect": lambda x: F.pad(x[None], (2, 1), "reflect"), "pad replicate": lambda x: F.pad(x[None], (1, 1), "replicate"),
        "pad circular": lambda x: F.pad(x[None], (1, 1), "circular"), "pad negative": lambda x: F.pad(x, (-1, 1)),
        "as complex and back": lambda x: torch.view_as_real(torch.view_as_complex(x.reshape(3, 2, 2))),
        "complex magnitude": lambda x: torch.view_as_complex(x.reshape(3, 2, 2)).abs(),
        "complex angle": lambda x: torch.view_as_complex(x.reshape(3, 2, 2)).angle(),
        "conj": lambda x: torch.view_as_real((torch.complex(x, 2 * x) * torch.complex(x, x).conj()).resolve_conj()),
        "imag of conj": lambda x: torch.complex(x, 2 * x).conj().imag, "polar": lambda x: torch.polar(x.exp(), x).real,
        "fft": lambda x: torch.view_as_real(torch.fft.fft(x)), "rfft": lambda x: torch.fft.rfft(x).abs(),
        "irfft": lambda x: torch.fft.irfft(torch.complex(x, x)), "fft2 and back": lambda x: torch.fft.ifft2(torch.fft.fft2(x) * 2).real,
        "hfft": lambda x: torch.fft.hfft(torch.complex(x, x)), "stft": lambda x: torch.stft(x.reshape(-1), 4, return_complex=True, window=torch.ones(4, dtype=x.dtype)).abs(),
        "in place": lambda x: x.clone().mul_(2).add_(x), "in place slice": lambda x: _written(x),
        "index_fill": lambda x: x.index_fill(0, torch.tensor([1]), 2.0), "masked_fill": lambda x: x.masked_fill(x > 0, -1.0),
        "masked_fill inf and softmax": lambda x: x.masked_fill(torch.tensor([False, True, False, False]), -torch.inf).softmax(-1),
        "checkpointed": lambda x: torch.utils.checkpoint.checkpoint(torch.tanh, x, use_reentrant=True),
        "float32 inside": lambda x: x.float().tanh(),
    }.items()
}  # fmt: skip


def _written(x: Any) -> Any:
    y = torch.zeros_like(x)
    y[:, 1:] = x[:, :-1] ** 2
    y[0] += x[1]
    return y


INDEXING: dict[str, Row] = {
    "take": (lambda i, x: x.take(i), lambda d: [d.ids(12, 5), d.normal(3, 4)]),
    "gather": (lambda i, x: x.gather(1, i), lambda d: [d.ids(4, 3, 6), d.normal(3, 4)]),
    "index_select": (lambda i, x: x.index_select(0, i), lambda d: [d.ids(3, 5), d.normal(3, 4)]),
    "rows repeated": (lambda i, x: x[i], lambda d: [d.ids(3, 5), d.normal(3, 4)]),
    "two indices": (lambda i, j, x: x[i, j], lambda d: [d.ids(3, 5), d.ids(4, 5), d.normal(3, 4)]),
    "masked_select": (lambda m, x: x[m], lambda d: [d.mask(3, 4), d.normal(3, 4)]),
    "scatter_add": (lambda i, x, s: x.scatter_add(1, i, s), lambda d: [d.ids(4, 3, 5), d.normal(3, 4), d.normal(3, 5)]),
    "scatter_reduce mean": (lambda i, x, s: x.scatter_reduce(1, i, s, "mean"), lambda d: [d.ids(4, 3, 5), d.normal(3, 4), d.normal(3, 5)]),
    "scatter_reduce amax": (lambda i, x, s: x.scatter_reduce(1, i, s, "amax"), lambda d: [d.ids(4, 3, 5), d.normal(3, 4), d.normal(3, 5)]),
    "index_add": (lambda i, x, s: x.index_add(0, i, s), lambda d: [d.ids(3, 5), d.normal(3, 4), d.normal(5, 4)]),
    "index_put accumulate": (lambda i, x, s: x.index_put((i,), s, accumulate=True), lambda d: [d.ids(3, 5), d.normal(3, 4), d.normal(5, 4)]),
    "put": (lambda x, s: x.put(torch.tensor([1, 5, 7]), s), lambda d: [d.normal(3, 4), d.normal(3)]),
    "embedding": (lambda i, w: F.embedding(i, w), lambda d: [d.ids(5, 2, 3), d.normal(5, 4)]),
    "embedding_bag": (lambda i, w: F.embedding_bag(i, w, mode="mean"), lambda d: [d.ids(5, 2, 3), d.normal(5, 4)]),
    "embedding_bag weighted": (lambda i, w, p: F.embedding_bag(i, w, per_sample_weights=p, mode="sum"), lambda d: [d.ids(5, 2, 3), d.normal(5, 4), d.normal(2, 3)]),
    "one_hot": (lambda i, w: F.one_hot(i, 5).to(w.dtype) @ w, lambda d: [d.ids(5, 3), d.normal(5, 4)]),
    "segment sums": (lambda x: torch.segment_reduce(x, "sum", lengths=torch.tensor([2, 0, 1])), one("normal", 3, 4)),
    "grid_sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), lambda d: [d.normal(1, 2, 4, 4), d.inside(1, 3, 3, 2)]),
    "affine_grid": (lambda t: F.affine_grid(t, [1, 1, 3, 3], align_corners=True), one("normal", 1, 2, 3)),
    "searchsorted weights": (lambda x, w: w[torch.searchsorted(torch.linspace(-1, 1, 5, dtype=x.dtype), x.detach())] * x, lambda d: [d.normal(4), d.normal(6)]),
}  # fmt: skip

LOSSES: dict[str, Row] = {
    "cross_entropy": (lambda y, x: F.cross_entropy(x, y), lambda d: [d.ids(4, 3), d.normal(3, 4)]),
    "cross_entropy smoothed": (lambda y, x: F.cross_entropy(x, y, label_smoothing=0.1), lambda d: [d.ids(4, 3), d.normal(3, 4)]),
    "cross_entropy weighted": (lambda y, x: F.cross_entropy(x, y, weight=torch.tensor([1.0, 2, 3, 4], dtype=x.dtype)), lambda d: [d.ids(4, 3), d.normal(3, 4)]),
    "cross_entropy ignoring": (lambda y, x: F.cross_entropy(x, y, ignore_index=1), lambda d: [d.ids(2, 6) * 2, d.normal(6, 4)]),
    "cross_entropy of probabilities": (lambda x: F.cross_entropy(x, torch.full_like(x, 0.25)), one("normal", 3, 4)),
    "cross_entropy saturated": (lambda y, x: F.cross_entropy(x, y), lambda d: [d.ids(4, 3), d.large(3, 4)]),
    "cross_entropy sequence": (lambda y, x: F.cross_entropy(x, y, reduction="none"), lambda d: [d.ids(4, 2, 3), d.normal(2, 4, 3)]),
    "nll": (lambda y, x: F.nll_loss(x, y), lambda d: [d.ids(4, 3), d.normal(3, 4)]),
    "mse": (F.mse_loss, some("normal", "normal")),
    "l1": (F.l1_loss, some("normal", "normal")),
    "l1 tied": (F.l1_loss, some("rounded", "rounded")),
    "smooth_l1": (lambda a, b: F.smooth_l1_loss(a, b, beta=0.3), some("normal", "normal")),
    "huber": (lambda a, b: F.huber_loss(a, b, delta=0.7), some("normal", "normal")),
    "bce": (F.binary_cross_entropy, some("unit", "unit")),
    "bce with logits": (F.binary_cross_entropy_with_logits, some("normal", "unit")),
    "bce with logits far out": (F.binary_cross_entropy_with_logits, some("large", "unit")),
    "kl_div": (F.kl_div, lambda d: [d.normal(3, 4), d.simplex(3, 4)]),
    "kl_div log": (lambda a, b: F.kl_div(a, b, log_target=True), some("normal", "normal")),
    "gaussian_nll": (lambda m, y, v: F.gaussian_nll_loss(m, y, v, full=True), some("normal", "normal", "positive")),
    "poisson_nll": (lambda x, y: F.poisson_nll_loss(x, y, full=True), some("normal", "above_one")),
    "hinge_embedding": (lambda x: F.hinge_embedding_loss(x, torch.tensor([1.0, -1, 1, -1], dtype=x.dtype)), one("normal", 3, 4)),
    "margin_ranking": (lambda a, b: F.margin_ranking_loss(a, b, torch.ones_like(a), margin=0.2), some("normal", "normal")),
    "triplet": (F.triplet_margin_loss, some("normal", "normal", "normal")),
    "cosine_embedding": (lambda a, b: F.cosine_embedding_loss(a, b, torch.tensor([1, -1, 1])), some("normal", "normal")),
    "multi_margin": (lambda y, x: F.multi_margin_loss(x, y), lambda d: [d.ids(4, 3), d.normal(3, 4)]),
    "multilabel_margin": (lambda x: F.multilabel_margin_loss(x, torch.tensor([[1, 2, -1, 0]] * 3)), one("normal", 3, 4)),
    "multilabel_soft_margin": (lambda x: F.multilabel_soft_margin_loss(x, torch.ones(3, 4, dtype=x.dtype)), one("normal", 3, 4)),
    "soft_margin": (lambda x: F.soft_margin_loss(x, torch.ones_like(x)), one("normal", 3, 4)),
    "ctc": (lambda x: F.ctc_loss(x.log_softmax(-1), torch.tensor([[1, 2], [2, 1]]), torch.tensor([5, 5]), torch.tensor([2, 2])), one("normal", 5, 2, 4)),
    "contrastive": (lambda a, b: F.cross_entropy(F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / 0.1, torch.arange(3)), some("normal", "normal")),
    "focal": (lambda x: ((1 - x.sigmoid()) ** 2 * F.softplus(-x)).mean(), one("normal", 3, 4)),
    "dice": (lambda x: 1 - 2 * (x.sigmoid() * torch.eye(3, 4)).sum() / (x.sigmoid().sum() + 3), one("normal", 3, 4)),
}  # fmt: skip

LAYERS: dict[str, Row] = {
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (4,), w, b), lambda d: [d.normal(3, 4), d.normal(4), d.normal(4)]),
    "layer_norm of two": (lambda x: F.layer_norm(x, (2,)), one("normal", 3, 2)),
    "layer_norm constant": (lambda x: F.layer_norm(x, (4,)), one("constant", 3, 4)),
    "layer_norm of one": (lambda x: F.layer_norm(x, (1,)), one("normal", 3, 1)),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4,), w), lambda d: [d.normal(3, 4), d.normal(4)]),
    "group_norm": (lambda x, w: F.group_norm(x, 2, w), lambda d: [d.normal(2, 4, 3), d.normal(4)]),
    "instance_norm": (F.instance_norm, one("normal", 2, 3, 5)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), one("normal", 5, 3)),
    "local_response_norm": (lambda x: F.local_response_norm(x, 2), one("normal", 2, 4, 3)),
    "linear": (F.linear, lambda d: [d.normal(3, 4), d.normal(2, 4), d.normal(2)]),
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2, padding=1), lambda d: [d.normal(2, 2, 7), d.normal(3, 2, 3)]),
    "conv2d even": (lambda x, w: F.conv2d(x, w, stride=2), lambda d: [d.normal(1, 2, 6, 6), d.normal(2, 2, 3, 3)]),
    "conv2d grouped dilated": (lambda x, w: F.conv2d(x, w, groups=2, dilation=2), lambda d: [d.normal(1, 4, 5, 5), d.normal(4, 2, 2, 2)]),
    "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, stride=2, output_padding=1), lambda d: [d.normal(1, 2, 3, 3), d.normal(2, 2, 2, 2)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), one("normal", 1, 2, 4, 6)),
    "max_pool2d tied": (lambda x: F.max_pool2d(x, 2), one("rounded", 1, 2, 4, 4)),
    "max_pool1d overlapping": (lambda x: F.max_pool1d(x, 3, 1, 1), one("normal", 1, 2, 6)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2, count_include_pad=False, padding=1), one("normal", 1, 2, 4, 5)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 2), one("normal", 1, 2, 5, 5)),
    "lp_pool2d": (lambda x: F.lp_pool2d(x, 2.0, 2), one("normal", 1, 1, 4, 4)),
    "max_unpool": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), one("normal", 1, 1, 4, 4)),
    "interpolate bicubic": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), one("normal", 1, 1, 3, 3)),
    "interpolate nearest": (lambda x: F.interpolate(x, size=(5, 4)), one("normal", 1, 1, 3, 3)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), one("normal", 1, 4, 2, 3)),
    "fold": (lambda x: F.fold(F.unfold(x, 2), (3, 4), 2), one("normal", 1, 2, 3, 4)),
    "glu": (F.glu, one("normal", 3, 4)),
    "prelu": (F.prelu, lambda d: [d.normal(2, 3, 2), d.positive(3)]),
    "rrelu eval": (lambda x: F.rrelu(x, training=False), one("normal", 3, 4)),
    "threshold": (lambda x: F.threshold(x, 0.1, 20.0), one("normal", 3, 4)),
    "dropout": (lambda x: _seeded(lambda: F.dropout(x, 0.4)), one("normal", 3, 4)),
    "alpha_dropout": (lambda x: _seeded(lambda: F.alpha_dropout(x, 0.4)), one("normal", 3, 4)),
    "noise": (lambda x, s: _seeded(lambda: x + s.exp() * torch.randn_like(x)), some("normal", "normal")),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), lambda d: [d.normal(1, 3, 4), d.normal(1, 5, 4), d.normal(1, 5, 2)]),
    "attention causal": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), some("normal", "normal", "normal", shape=(1, 4, 4))),
    "attention masked": (lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=m | torch.eye(4, dtype=torch.bool)), lambda d: [d.mask(4, 4), d.normal(1, 4, 4), d.normal(1, 4, 4), d.normal(1, 4, 4)]),
    "attention sharp": (lambda q, k, v: F.scaled_dot_product_attention(8 * q, 8 * k, v), some("normal", "normal", "normal", shape=(1, 4, 4))),
    "gumbel_softmax": (lambda x: _seeded(lambda: F.gumbel_softmax(x, 0.7)), one("normal", 3, 4)),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), one("normal", 1, 4, 3)),
}  # fmt: skip


def _seeded(run: Callable[[], Any]) -> Any:
    torch.manual_seed(3)
    return run()


def programs() -> Iterator[Program]:
    tables = (dict(unaries()), BINARY, REDUCTIONS, SHAPES, INDEXING, LOSSES, LAYERS)
    for table in tables:
        for name, (fn, inputs) in table.items():
            yield Program(name.replace(" ", "_"), "pytorch", fn, inputs)
