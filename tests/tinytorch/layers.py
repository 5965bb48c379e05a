"""Comparing a layer of tinytorch with the PyTorch layer of the same name, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinytorch import Tensor

torch = pytest.importorskip("torch")


def theirs(array: Any, requires_grad: bool = False) -> Any:
    """A torch tensor with a copy of an array."""
    tensor = torch.tensor(np.array(array))
    return tensor.requires_grad_() if requires_grad else tensor


def same_weights(ours: Any, other: Any, rng: np.random.Generator) -> None:
    """Both in float64, with the same random parameters (also where the default is 0 or 1)."""
    ours.double()
    other.double()
    values = {n: rng.normal(size=p.shape) * 0.4 + 0.1 for n, p in ours.named_parameters()}
    assert sorted(values) == sorted(n for n, _ in other.named_parameters())
    for name, p in ours.named_parameters():
        p._data[...] = values[name]
    with torch.no_grad():
        for name, p in other.named_parameters():
            assert tuple(p.shape) == values[name].shape
            p.copy_(theirs(values[name]))


def flat(output: Any) -> list[Any]:
    """The tensors of a nested output."""
    if isinstance(output, (tuple, list)):
        return [t for part in output for t in flat(part)]
    return [output]


def close(actual: Any, wanted: Any, what: str, rtol: float = 1e-10) -> None:
    if isinstance(wanted, torch.Tensor):
        wanted = wanted.detach().numpy()
    np.testing.assert_allclose(np.asarray(actual), wanted, rtol, 1e-11, err_msg=what)


def compare(ours: Any, other: Any, *arrays: Any, seed: int = 0) -> None:
    """The same outputs and the same gradients of inputs and parameters, for a random cotangent.

    arrays: the arguments of the call; floating ones get a gradient, tuples stand for a pair.
    """
    rng = np.random.default_rng(seed)
    mine = [_leaf(a, lambda x: Tensor(x.copy(), requires_grad=x.dtype.kind == "f")) for a in arrays]
    others = [_leaf(a, lambda x: theirs(x, requires_grad=x.dtype.kind == "f")) for a in arrays]
    outputs, wanted = flat(ours(*mine)), flat(other(*others))
    assert len(outputs) == len(wanted)
    total: Any = None
    wanted_total: Any = None
    for i, (y, z) in enumerate(zip(outputs, wanted)):
        assert y.shape == tuple(z.shape)
        assert y.dtype == np.float64
        close(y._data, z, f"output {i}")
        g = rng.normal(size=y.shape)
        total = (y * g).sum() if total is None else total + (y * g).sum()
        wanted_total = (
            (z * theirs(g)).sum() if wanted_total is None else wanted_total + (z * theirs(g)).sum()
        )
    total.backward()
    wanted_total.backward()
    for i, (a, b) in enumerate(zip(flat(mine), flat(others))):
        if a.requires_grad:
            close(a.grad, b.grad, f"gradient of input {i}")
    if hasattr(ours, "named_parameters"):
        gradients = dict(other.named_parameters())
        for name, p in ours.named_parameters():
            assert p.grad is not None, name
            close(p.grad, gradients[name].grad, f"gradient of {name}")


def _leaf(array: Any, make: Any) -> Any:
    return tuple(make(a) for a in array) if isinstance(array, tuple) else make(np.asarray(array))
