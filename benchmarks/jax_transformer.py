"""The transformer of `gradient.py` in jax: pre-norm, learned positions, exact GELU."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from contestants import SIZES

V, T, C, H = (SIZES[k] for k in ("vocab", "context", "width", "heads"))


def parameters() -> dict[str, Any]:
    """26,752 numbers, drawn as the GPT of the transformer plugin draws its own."""
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {}

    def weight(name: str, *shape: int, std: float = 0.02) -> None:
        made[name] = std * rng.standard_normal(shape)

    def norm(name: str) -> None:
        made[name + ".weight"], made[name + ".bias"] = np.ones(C), np.zeros(C)

    weight("token_embedding.weight", V, C)
    weight("positions.weight", T, C)
    for i in range(SIZES["layers"]):
        block = f"blocks.{i}."
        small = 0.02 / np.sqrt(2 * SIZES["layers"])
        for name, size_in, size_out, std in (
            ("attn.qkv", C, 3 * C, 0.02),
            ("attn.proj", C, C, small),
            ("mlp.up", C, 4 * C, 0.02),
            ("mlp.down", 4 * C, C, small),
        ):
            weight(f"{block}{name}.weight", size_out, size_in, std=std)
            made[f"{block}{name}.bias"] = np.zeros(size_out)
        norm(block + "norm1")
        norm(block + "norm2")
    norm("norm")
    weight("head.weight", V, C)
    return {name: jnp.asarray(value) for name, value in made.items()}


def loss(p: dict[str, Any], ids: Any, targets: Any) -> Any:
    """ids, targets: (batch, T). Mean cross-entropy."""

    def linear(x: Any, name: str) -> Any:
        return x @ p[name + ".weight"].T + p[name + ".bias"]

    def norm(x: Any, name: str) -> Any:
        x = x - x.mean(-1, keepdims=True)
        x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
        return x * p[name + ".weight"] + p[name + ".bias"]

    def attend(x: Any, name: str) -> Any:
        b, t, _ = x.shape
        heads = linear(x, name + ".qkv").reshape(b, t, 3, H, C // H).transpose(2, 0, 3, 1, 4)
        q, k, v = heads  # (b, H, t, C/H) each
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(C // H)
        scores = jnp.where(np.tril(np.ones((t, t), bool)), scores, -jnp.inf)
        y = jax.nn.softmax(scores, -1) @ v
        return linear(y.transpose(0, 2, 1, 3).reshape(b, t, C), name + ".proj")

    x = p["token_embedding.weight"][ids] + p["positions.weight"]
    for i in range(SIZES["layers"]):
        block = f"blocks.{i}."
        x = x + attend(norm(x, block + "norm1"), block + "attn")
        hidden = jax.nn.gelu(linear(norm(x, block + "norm2"), block + "mlp.up"), approximate=False)
        x = x + linear(hidden, block + "mlp.down")
    logits = norm(x, "norm") @ p["head.weight"].T  # (b, T, V)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits, -1), targets[..., None], -1)
    return -chosen.mean()


def of_one_leaf(name: str = "blocks.0.norm2.weight") -> tuple[Any, Any]:
    """(loss as a function of one parameter, its value)."""
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(0, V, (2, T)), rng.integers(0, V, (2, T))
    p = parameters()
    return lambda value: loss({**p, name: value}, ids, targets), p[name]
