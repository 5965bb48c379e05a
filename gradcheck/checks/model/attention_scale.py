"""How attention scales its scores, read off the recorded op calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.checks.lib.running import result_of, watched
from gradcheck.frameworks.protocol import Array, OpCall
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding
from gradcheck.source.line import short_place

BETWEEN = ("mul", "div", "neg", "where", "add", "sub", "masked_fill", "reshape", "transpose",
           "permute", "clone", "getitem", "swapaxes")  # fmt: skip
"""Ops that may lie between q k and the softmax."""
PRODUCTS = ("matmul", "einsum")


@dataclass(frozen=True)
class Unscaled:
    """Scores that are `factor` times as large as q k / sqrt(width); below 1 where they are divided
    by the width itself."""

    op: str
    where: str | None
    width: int
    factor: float
    std: float


def unscaled_scores(tape: Sequence[OpCall]) -> Iterator[Unscaled]:
    """The softmaxes of q k whose scale is about 1, or 1/width, instead of 1/sqrt(width)."""
    for call in tape:
        scale = width = None
        std = 0.0
        if "attention" in call.name:
            scale, width, std = _fused(call)
        elif call.name == "softmax":
            scale, width, std = _composed(tape, call)
        if scale is None or width is None or width < 4:
            continue
        factor = abs(scale) * math.sqrt(width)
        missing = factor > 0.7 * math.sqrt(width) and factor > 1.4
        twice = 0.8 < factor * math.sqrt(width) < 1.25 and factor < 0.6
        if missing or twice:
            yield Unscaled(call.name, short_place(call.where), width, factor, std)


def scaled_wrongly(run: Subject) -> Iterator[Finding]:
    """Attention whose scores are too large or too small by the root of their width."""
    for found in unscaled_scores(watched(run, run.forward).calls or []):
        large = found.factor > 1
        times = f"{found.factor:.1f}" if large else f"{found.factor:.2g}"
        by = "the root of the width of a head" + ("" if large else ", not by the width,")
        yield Finding(
            code="scores_too_large" if large else "scores_too_small",
            message=f"attention scores of {found.op} at {found.where} are {times} times "
            f"as large as q k / sqrt({found.width}) gives (standard deviation {found.std:.2g})",
            op=found.op,
            where=found.where,
            advice=f"divide the scores by {by} before the softmax; set `scores: false` if the "
            "scale is intended to be learned, left out or different",
        )
        return


Answer = tuple[float | None, int | None, float]


def _composed(tape: Sequence[OpCall], call: OpCall) -> Answer:
    """Follow the scores back to the product of queries and keys."""
    x = np.asarray(call.inputs[0])
    source = call.sources[0]
    for _ in range(8):
        if not isinstance(source, int):
            return None, None, 0.0
        before = tape[source]
        if before.name in PRODUCTS:
            return _ratio(x, result_of(before), before)
        if before.name not in BETWEEN:
            return None, None, 0.0
        calls = [s for s in before.sources if isinstance(s, int)]
        if not calls:
            return None, None, 0.0
        source = calls[0]
    return None, None, 0.0


def _ratio(scores: Array, products: Array, product: OpCall) -> Answer:
    """The slope of scores over the plain products, among entries that no mask has touched; the
    products themselves may be of queries that were scaled before."""
    if scores.shape != products.shape or len(product.inputs) != 2:
        return None, None, 0.0
    q, k = (np.asarray(i) for i in product.inputs)
    if q.ndim < 3 or k.ndim < 3:  # a plain layer before a softmax is not attention
        return None, None, 0.0
    seen = np.isfinite(scores) & (np.abs(scores) < 1e4)
    a, b = scores[seen], products[seen]
    if a.size < 4 or np.var(b) == 0:
        return None, None, 0.0
    slope = float(np.cov(a, b)[0, 1] / np.var(b, ddof=1))
    width = q.shape[-1]
    # Queries divided beforehand are smaller than the keys by the same factor.
    rms_q, rms_k = (float(np.sqrt(np.mean(v * v))) for v in (q, k))
    before = rms_q / rms_k if rms_k and rms_q / rms_k < 1 / math.sqrt(math.sqrt(width)) else 1.0
    return slope * before, width, float(np.std(a))


def _fused(call: OpCall) -> Answer:
    """Run the op on values that are unit vectors: what comes out are the attention weights, whose
    logarithms differ by scale * (q k_i - q k_j)."""
    arrays = list(call.inputs)
    heads = call.attrs.get("heads", 1)
    first = np.asarray(arrays[0], dtype=np.float64)
    if call.input_names[:3] == ("query", "key", "value") or (
        len(arrays) >= 3
        and all(isinstance(a, np.ndarray) and a.ndim == first.ndim for a in arrays[:3])
    ):
        q, k = first, np.asarray(arrays[1], dtype=np.float64)
        units = np.zeros(k.shape)
        _unit(units)
        arrays[:3] = [q, k, units]
        weights = _run(call, arrays)
    else:
        *lead, t, wide = first.shape
        if wide % (3 * heads):
            return None, None, 0.0
        parts = first.reshape(*lead, t, 3, heads, wide // (3 * heads)).copy()
        q, k, v = (np.swapaxes(parts[..., i, :, :], -2, -3) for i in range(3))
        _unit(v)
        arrays[0] = parts.reshape(first.shape)
        out = _run(call, arrays)
        if out is None or out.shape != (*lead, t, wide // 3):
            return None, None, 0.0
        weights = np.swapaxes(out.reshape(*lead, t, heads, -1), -2, -3)
    if weights is None:
        return None, None, 0.0
    products = (q @ np.swapaxes(k, -1, -2))[..., -1, : weights.shape[-1]]
    last = weights[..., -1, : products.shape[-1]]
    kept = (last > 1e-12).all(axis=-1)
    if not kept.any() or last.shape[-1] < 2:
        return None, None, 0.0
    logs = np.log(last[kept])
    a = (logs - logs[:, :1])[:, 1:].reshape(-1)
    b = (products[kept] - products[kept][:, :1])[:, 1:].reshape(-1)
    if not np.any(b):
        return None, None, 0.0
    return float(a @ b / (b @ b)), q.shape[-1], float(np.std(a))


def _unit(values: Array) -> None:
    """Set value j to the unit vector j, in place; zero where there are more than the width."""
    values[...] = 0
    for j in range(min(values.shape[-2:])):
        values[..., j, j] = 1


def _run(call: OpCall, arrays: Sequence[object]) -> Array | None:
    try:
        return np.asarray(call.run(arrays))
    except Exception:  # another signature: not an attention that we know
        return None
