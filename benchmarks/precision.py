"""How small a wrong factor the check `precision` sees in each dtype, and how often it accuses a
right kernel.

    python benchmarks/precision.py                  # 10,000 right runs, and what is seen
    python benchmarks/precision.py --runs 300       # a share

Right runs are torch's own CPU ops and layers, each alone or as a formula of several ops, with new
inputs each time. They are judged against float64 of themselves. A fault is planted in a backward
as a factor of the whole gradient, of one row, or of the last eighth of the last axis.
Exit status 1 when a right run is accused or a fault that must be seen is not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.checks.gradient.precision import look
from gradcheck.frameworks.protocol import Framework
from gradcheck.names import load
from gradcheck.numerics.precision.dtypes import LOW_DTYPES
from gradcheck.probe.from_function import FunctionSubject

F = torch.nn.functional
Program = tuple[Callable[..., torch.Tensor], list[tuple[int, ...]]]

SQUARE = (64, 64)
HEADS = (2, 4, 32, 16)  # (batch, heads, time, width)


def attention(q: Any, k: Any, v: Any) -> Any:
    return ((q @ k.transpose(-1, -2)) * 16**-0.5).softmax(-1) @ v


def layer_norm(x: Any, w: Any, b: Any) -> Any:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5) * w + b


PROGRAMS: dict[str, Program] = {
    "exp": (torch.exp, [SQUARE]),
    "tanh": (torch.tanh, [SQUARE]),
    "sigmoid": (torch.sigmoid, [SQUARE]),
    "erf": (torch.erf, [SQUARE]),
    "sin": (torch.sin, [SQUARE]),
    "abs": (torch.abs, [SQUARE]),
    "relu": (torch.relu, [SQUARE]),
    "gelu": (F.gelu, [SQUARE]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [SQUARE]),
    "gelu_formula": (
        lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
        [SQUARE],
    ),
    "silu": (F.silu, [SQUARE]),
    "mish": (F.mish, [SQUARE]),
    "elu": (F.elu, [SQUARE]),
    "softplus": (F.softplus, [SQUARE]),
    "hardswish": (F.hardswish, [SQUARE]),
    "glu": (F.glu, [SQUARE]),
    "square": (lambda x: x**2, [SQUARE]),
    "cube": (lambda x: x**3, [SQUARE]),
    "scale": (lambda x: x * 0.1, [SQUARE]),
    "mul": (torch.mul, [SQUARE, SQUARE]),
    "div": (lambda x, y: x / (y * y + 1), [SQUARE, SQUARE]),
    "broadcast": (lambda x, y: x * y, [SQUARE, (64,)]),
    "maximum": (torch.maximum, [SQUARE, SQUARE]),
    "matmul": (torch.matmul, [SQUARE, SQUARE]),
    "matmul_long": (torch.matmul, [(16, 512), (512, 16)]),
    "bmm": (torch.bmm, [(4, 16, 32), (4, 32, 16)]),
    "linear": (F.linear, [SQUARE, SQUARE, (64,)]),
    "conv1d": (lambda x, w: F.conv1d(x, w, padding=1), [(4, 8, 64), (8, 8, 3)]),
    "conv2d": (lambda x, w: F.conv2d(x, w, padding=1), [(2, 4, 16, 16), (8, 4, 3, 3)]),
    "avg_pool": (lambda x: F.avg_pool2d(x, 2), [(4, 4, 16, 16)]),
    "max_pool": (lambda x: F.max_pool2d(x, 2), [(4, 4, 16, 16)]),
    "sum": (lambda x: x.sum(0), [SQUARE]),
    "mean": (lambda x: x.mean(-1), [SQUARE]),
    "var": (lambda x: x.var(-1), [SQUARE]),
    "norm": (lambda x: x.norm(dim=-1), [SQUARE]),
    "cumsum": (lambda x: x.cumsum(-1), [SQUARE]),
    "logsumexp": (lambda x: x.logsumexp(-1), [SQUARE]),
    "softmax": (lambda x: x.softmax(-1), [SQUARE]),
    "log_softmax": (lambda x: x.log_softmax(-1), [SQUARE]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (64,), w, b), [SQUARE, (64,), (64,)]),
    "layer_norm_formula": (layer_norm, [SQUARE, (64,), (64,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (64,), w), [SQUARE, (64,)]),
    "rms_norm_formula": (
        lambda x, w: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * w,
        [SQUARE, (64,)],
    ),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        [SQUARE, (64,), (64,)],
    ),
    "group_norm": (lambda x, w, b: F.group_norm(x, 4, w, b), [(4, 16, 64), (16,), (16,)]),
    "attention": (F.scaled_dot_product_attention, [HEADS, HEADS, HEADS]),
    "attention_formula": (attention, [HEADS, HEADS, HEADS]),
    "causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        [HEADS, HEADS, HEADS],
    ),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, torch.arange(64), reduction="none"),
        [SQUARE],
    ),
    "mse": (lambda x, y: F.mse_loss(x, y), [SQUARE, SQUARE]),
    "embedding": (lambda w: F.embedding(torch.arange(128) % 60, w), [SQUARE]),
    "gather": (lambda x: x.gather(1, torch.arange(64).expand(64, 64)), [SQUARE]),
    "cat": (lambda x, y: torch.cat([x, y], 1), [SQUARE, SQUARE]),
    "mlp": (lambda x, a, b: F.gelu(x @ a) @ b, [(32, 64), (64, 128), (128, 64)]),
    "odd": (lambda x, w, b: F.layer_norm(x, (37,), w, b), [(29, 37), (37,), (37,)]),
    "one": (lambda x: x.softmax(-1), [(1, 1031)]),
    "long": (lambda x: x.softmax(-1), [(3, 2048)]),
}
"""Right programs by name: a function of tensors, and the shapes of its inputs."""

MUST = {"bfloat16": (2e-3, 2e-2), "float16": (3e-4, 2e-2), "float32": (3e-7, 2e-2)}
"""By dtype the factor of a whole gradient, and of a part, that must be seen."""
SIZES = (1.0, 0.5, 0.25, 0.1, 0.05)
"""Shares of what must be seen that are also tried."""
SEEN_IN = ("gelu", "matmul", "layer_norm", "attention_formula")


class Kernel(torch.autograd.Function):
    """`fn` as a kernel computes it: float32 inside, rounded once at its end. The gradient of the
    first input is `plant(gradient)` before it is rounded; in float64 it stays right."""

    @staticmethod
    def forward(ctx: Any, fn: Any, plant: Any, *inputs: torch.Tensor) -> torch.Tensor:
        wide = torch.promote_types(inputs[0].dtype, torch.float32)
        with torch.enable_grad():
            ctx.leaves = [x.detach().to(wide).requires_grad_() for x in inputs]
            ctx.result = fn(*ctx.leaves)
        ctx.plant, ctx.dtype = plant, inputs[0].dtype
        return ctx.result.detach().to(inputs[0].dtype)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> Any:  # type: ignore[override]
        first, *rest = torch.autograd.grad(
            ctx.result, ctx.leaves, g.to(ctx.result.dtype), retain_graph=True
        )
        if ctx.dtype is not torch.float64:
            first = ctx.plant(first.double())
        return None, None, *(x.to(ctx.dtype) for x in (first, *rest))


def planted(factor: float, where: str) -> Callable[[torch.Tensor], torch.Tensor]:
    def plant(g: torch.Tensor) -> torch.Tensor:
        g = g.clone()
        if where == "whole":
            g *= factor
        elif where == "row":
            g[..., min(3, g.shape[-2] - 1), :] *= factor
        elif where == "head":
            g[:, min(1, g.shape[1] - 1)] *= factor
        else:
            g[..., -(g.shape[-1] // 8) :] *= factor
        return g

    return plant


def run(torch_adapter: Framework, name: str, dtype: str, seed: int, plant: Any = None) -> Any:
    fn, shapes = PROGRAMS[name]
    rng = np.random.default_rng([seed, 1])
    arrays = {f"x{i}": rng.standard_normal(shape) for i, shape in enumerate(shapes)}

    def called(*inputs: Any) -> Any:
        return fn(*inputs) if plant is None else Kernel.apply(fn, plant, *inputs)

    subject = FunctionSubject(called, torch_adapter, arrays=arrays, seed=seed, name=name)
    return look(subject, [dtype], memory=False)


def false_alarms(adapter: Framework, runs: int) -> list[str]:
    alarms = []
    each = itertools.cycle(itertools.product(PROGRAMS, LOW_DTYPES))
    for number, (name, dtype) in zip(range(runs), each):
        seed = number // (len(PROGRAMS) * len(LOW_DTYPES))
        result = run(adapter, name, dtype, seed)
        if result.outcome == "failed":
            alarms.append(f"{name} {dtype} seed {seed}: {result.findings[0].message}")
            print("  alarm:", alarms[-1], flush=True)
    return alarms


def seen(adapter: Framework, seeds: int) -> list[dict[str, Any]]:
    rows = []
    for dtype, where in itertools.product(LOW_DTYPES, ("whole", "row", "head", "block")):
        must = MUST[dtype][where != "whole"]
        for name in SEEN_IN:
            if where == "head" and "attention" not in name:
                continue
            caught = {
                share: sum(
                    run(adapter, name, dtype, s, planted(1 + must * share, where)).outcome
                    == "failed"
                    for s in range(seeds)
                )
                for share in SIZES
            }
            smallest = min((s for s, n in caught.items() if n == seeds), default=float("nan"))
            row = {"dtype": dtype, "where": where, "op": name, "must": must}
            rows.append({**row, "caught": caught[1.0], "of": seeds, "always": must * smallest})
            print(
                f"  {dtype:9} {where:6} {name:18} must {must:.0e}: {caught[1.0]} of {seeds} seen; "
                f"always from {must * smallest:.0e}",
                flush=True,
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help="right runs")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each planted fault")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    adapter = load.load().framework("pytorch")
    start = time.perf_counter()
    alarms = false_alarms(adapter, arguments.runs)
    print(f"{len(alarms)} false alarms in {arguments.runs} right runs", flush=True)
    rows = seen(adapter, arguments.seeds)
    missed = [r for r in rows if r["caught"] < r["of"]]
    print(f"{len(missed)} of {len(rows)} faults missed; {time.perf_counter() - start:.0f} s")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"runs": arguments.runs, "alarms": alarms, "seen": rows}, file, indent=1)
    return 1 if alarms or missed else 0


if __name__ == "__main__":
    sys.exit(main())
