"""Weights carried over to PyTorch's own layers, whose formulas are not ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

RELATIVE = 1e-10


def double(model: Any) -> Any:
    """A tinytorch model in float64, with weights large enough that every part matters."""
    rng = np.random.default_rng(1)
    for name, p in model.named_parameters():
        scale = 0.3 if p.ndim > 1 else 0.2
        p._data = rng.normal(1.0 if "norm" in name and "weight" in name else 0.0, scale, p.shape)
    for _, buffer in model.named_buffers():
        buffer._data = buffer._data.astype(np.float64)
    return model


def t(array: Any) -> Any:
    """A float64 or int64 torch tensor of a numpy array."""
    return torch.tensor(np.asarray(array))


def copied(target: Any, source: Any) -> None:
    """Values of a tinytorch tensor into a torch parameter."""
    with torch.no_grad():
        target.copy_(t(source._data))


def copy_block(theirs: Any, ours: Any) -> dict[str, Any]:
    """Our TransformerBlock into nn.TransformerEncoderLayer or DecoderLayer.

    Returns torch's gradients-to-be by our names: a function to call after backward.
    """
    pairs: dict[str, Any] = {
        "attn.qkv.weight": theirs.self_attn.in_proj_weight,
        "attn.qkv.bias": theirs.self_attn.in_proj_bias,
        "attn.proj.weight": theirs.self_attn.out_proj.weight,
        "attn.proj.bias": theirs.self_attn.out_proj.bias,
        "norm1.weight": theirs.norm1.weight,
        "norm1.bias": theirs.norm1.bias,
        "mlp.up.weight": theirs.linear1.weight,
        "mlp.up.bias": theirs.linear1.bias,
        "mlp.down.weight": theirs.linear2.weight,
        "mlp.down.bias": theirs.linear2.bias,
    }
    last = theirs.norm2
    if ours.cross:
        last = theirs.norm3
        pairs |= {
            "norm_cross.weight": theirs.norm2.weight,
            "norm_cross.bias": theirs.norm2.bias,
            "cross_attn.proj.weight": theirs.multihead_attn.out_proj.weight,
            "cross_attn.proj.bias": theirs.multihead_attn.out_proj.bias,
        }
    pairs |= {"norm2.weight": last.weight, "norm2.bias": last.bias}
    own = dict(ours.named_parameters())
    for name, target in pairs.items():
        copied(target, own[name])
    if ours.cross:
        width = ours.cross_attn.query.weight.shape[0]
        cross = theirs.multihead_attn
        for end, whole in (("weight", cross.in_proj_weight), ("bias", cross.in_proj_bias)):
            copied(whole[:width], own[f"cross_attn.query.{end}"])
            copied(whole[width:], own[f"cross_attn.key_value.{end}"])
            pairs[f"cross_attn.query.{end}"] = (whole, slice(None, width))
            pairs[f"cross_attn.key_value.{end}"] = (whole, slice(width, None))
    return pairs


def torch_gradient(target: Any) -> Any:
    """The gradient of a parameter, or of (parameter, rows of it)."""
    if isinstance(target, tuple):
        return target[0].grad.numpy()[target[1]]
    return target.grad.numpy()


def assert_gradients(model: Any, theirs: dict[str, Any]) -> None:
    """Every parameter of `model` has the gradient of its counterpart in `theirs`."""
    names = dict(model.named_parameters())
    assert names.keys() == theirs.keys()
    expected = {n: torch_gradient(p) for n, p in theirs.items()}
    floor = 1e-3 * max(np.abs(g).max() for g in expected.values())
    for name, p in names.items():
        assert relative(p.grad, expected[name], floor) < RELATIVE, name


def relative(a: Any, b: Any, floor: float = 0.0) -> float:
    """Largest difference, relative to the largest entry of b (at least `floor`)."""
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / max(np.abs(b).max(), floor, 1e-300))
