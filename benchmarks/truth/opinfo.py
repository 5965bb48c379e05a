"""Every differentiable op in PyTorch's own test data, through `check_gradients`.

PyTorch's samples are inputs that its developers chose. An op is called as its own gradient test
calls it (`gradcheck_wrapper`, `output_process_fn_grad`); several outputs become one vector.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from truth.rows import Row

MOST_ENTRIES = 600
"""Larger samples show nothing that smaller ones do not, and take torch's own check minutes."""

DESERVED = {
    "nn.functional.hardsigmoid": "the CPU kernel has 1/6 in float32, also for float64: 3e-8",
    "as_strided": "its result is defined by the memory of its input, as the finding says",
    "as_strided_copy": "its result is defined by the memory of its input, as the finding says",
}
"""Ops that are red although torch passes: the finding is true."""


def rows(samples: int, share: tuple[int, int]) -> Iterator[Row]:
    """share: (k, n), every n-th op from the k-th on."""
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    ops = [o for o in op_db if o.supports_autograd and torch.float64 in o.supported_dtypes("cpu")]
    for op in ops[share[0] :: share[1]]:
        name = op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")
        done = 0
        for sample in op.sample_inputs("cpu", torch.float64, requires_grad=True):
            if done == samples:
                break
            made = function(op, sample)
            if made is not None:
                done += 1
                yield judged(name, *made)


def function(op: Any, sample: Any) -> tuple[Callable[..., Any], list[Any]] | None:
    """The op as a function of the tensors of `sample` that need a gradient, and those."""
    import torch

    tensors: list[Any] = []

    def packed(value: Any) -> tuple[Any, Any]:
        if isinstance(value, torch.Tensor):
            tensors.append(value)
            return ("tensor", len(tensors) - 1)
        if isinstance(value, (list, tuple)):
            return (type(value), [packed(v) for v in value])
        return ("constant", value)

    def unpacked(spec: tuple[Any, Any], values: list[Any]) -> Any:
        kind, what = spec
        if kind == "tensor":
            return values[what]
        if kind == "constant":
            return what
        parts = [unpacked(part, values) for part in what]
        return tuple(parts) if kind is tuple else parts

    arguments = [packed(a) for a in (sample.input, *sample.args)]
    keywords = {n: packed(v) for n, v in sample.kwargs.items()}
    chosen = [i for i, t in enumerate(tensors) if t.requires_grad and t.is_floating_point()]
    dense = all(t.layout is torch.strided for t in tensors)
    size = sum(t.numel() for t in tensors)
    if not chosen or not dense or not 0 < size <= MOST_ENTRIES:
        return None

    def run(*given: Any) -> Any:
        torch.manual_seed(0)
        values = list(tensors)
        for i, value in zip(chosen, given):
            values[i] = value
        result = op.gradcheck_wrapper(
            op.op,
            *[unpacked(a, values) for a in arguments],
            **{n: unpacked(k, values) for n, k in keywords.items()},
        )
        if sample.output_process_fn_grad is not None:
            result = sample.output_process_fn_grad(result)
        outputs = result if isinstance(result, (tuple, list)) else [result]
        outputs = [o for o in outputs if isinstance(o, torch.Tensor) and o.requires_grad]
        outputs = [torch.view_as_real(o.resolve_conj()) if o.is_complex() else o for o in outputs]
        if len(outputs) == 1:
            return outputs[0]
        return torch.cat([o.reshape(-1).double() for o in outputs])

    run.__name__ = op.name.replace(".", "_")
    return run, [tensors[i].detach().clone().requires_grad_() for i in chosen]


def judged(name: str, run: Callable[..., Any], leaves: list[Any], *, seed: int = 0) -> Row:
    """Our verdict; where it is not a pass, torch's beside it."""
    import torch

    import gradcheck

    start = time.perf_counter()
    try:
        result = gradcheck.check_gradients(run, *[leaf.detach() for leaf in leaves], seed=seed)
        outcome, said = result.outcome, "; ".join(f.message for f in result.findings)
    except Exception as error:
        outcome, said = "raised", f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    if outcome in ("passed", "skipped"):
        return Row(name, outcome, seconds=seconds)
    try:
        torch.autograd.gradcheck(run, leaves)
        peer = "pass"
    except Exception as error:
        peer = " ".join(str(error).split())[:80]
    return Row(name, outcome, said, peer, seconds)
