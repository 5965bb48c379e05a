"""Writing on: one token after the other, each drawn from what the model predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch import Tensor, no_grad


def generate(
    model: Any,
    ids: Any,
    count: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    use_cache: bool = True,
) -> NDArray[Any]:
    """ids (n,) and `count` more, (n + count,) int64, with the model in eval mode meanwhile.

    temperature: logits are divided by it; 0 takes the likeliest token. top_k: draw from the k
    likeliest only. Once the context is full, each token is predicted from the last `context` ones,
    which have new positions every time, so the cache is of no use then.
    """
    rng = np.random.default_rng(seed)
    found = np.asarray(ids, np.int64).reshape(-1)
    if not found.size:
        raise ValueError("generate() needs at least one id to begin with")
    training = model.training
    model.eval()
    try:
        with no_grad():
            cache = model.new_cache() if use_cache else None
            fresh = found[-model.context :]  # ids that the cache does not hold yet
            for _ in range(count):
                logits = model(Tensor(fresh[None]), cache=cache)._data[0, -1]  # (vocab,)
                found = np.append(found, draw(logits, temperature, top_k, rng))
                if cache is not None and len(found) <= model.context:
                    fresh = found[-1:]
                else:
                    cache, fresh = None, found[-model.context :]
    finally:
        model.train(training)
    return found


def draw(
    logits: NDArray[Any], temperature: float, top_k: int | None, rng: np.random.Generator
) -> int:
    """An id, from logits (vocab,)."""
    if temperature < 0:
        raise ValueError(f"temperature is {temperature}; it must be 0 or above")
    if temperature == 0:
        return int(logits.argmax())
    z = logits.astype(np.float64) / temperature
    if top_k is not None and top_k < z.size:
        z[z < np.partition(z, -top_k)[-top_k]] = -np.inf
    p = np.exp(z - z.max())
    return int(rng.choice(z.size, p=p / p.sum()))
