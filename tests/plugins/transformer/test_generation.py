"""Generation: the cache gives what the full forward gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.transformer.generation import draw
from gradcheck.plugins.transformer.gpt import GPT

import tinytorch
from tinytorch import Tensor

KINDS: list[dict[str, Any]] = [
    {},
    {"positions": "rotary", "norm": "rms", "activation": "swiglu"},
    {"positions": "sinusoidal", "norm_first": False},
    {"dropout": 0.2},
]


def model(**options: Any) -> GPT:
    tinytorch.manual_seed(0)
    made = GPT(13, 10, 2, 2, 8, **options)
    for p in made.parameters():
        p._data = p._data.astype(np.float64) * 5
    for b in made.buffers():
        b._data = b._data.astype(np.float64)
    return made


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("pieces", [[1] * 10, [4, 1, 3, 2], [10]])
def test_cached_logits_are_those_of_the_full_forward(
    options: dict[str, Any], pieces: list[int]
) -> None:
    gpt = model(**options)
    gpt.eval()
    ids = np.random.default_rng(0).integers(0, 13, (2, 10))
    full = gpt(Tensor(ids))._data
    cache, found, start = gpt.new_cache(), [], 0
    for n in pieces:
        found.append(gpt(Tensor(ids[:, start : start + n]), cache=cache)._data)
        start += n
    np.testing.assert_allclose(np.concatenate(found, axis=1), full, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", KINDS)
def test_generation_with_cache_is_generation_without(options: dict[str, Any]) -> None:
    gpt = model(**options)
    one = gpt.generate([1, 2, 3], 25, seed=3)  # well beyond the context of 10
    two = gpt.generate([1, 2, 3], 25, seed=3, use_cache=False)
    np.testing.assert_array_equal(one, two)
    assert len(one) == 28
    assert gpt.training  # as it was before


def test_generation_is_greedy_at_temperature_0() -> None:
    gpt = model()
    ids = gpt.generate([1, 2, 3], 4, temperature=0)
    gpt.eval()
    for n in range(3, 7):
        assert gpt(Tensor(ids[None, :n]))._data[0, -1].argmax() == ids[n]


def test_draw_takes_only_the_top_k() -> None:
    logits = np.array([0.0, 3.0, 2.9, -1.0])
    rng = np.random.default_rng(0)
    seen = {draw(logits, 1.0, 2, rng) for _ in range(100)}
    assert seen == {1, 2}


def test_draw_follows_the_probabilities() -> None:
    logits = np.log([0.2, 0.5, 0.3])
    rng = np.random.default_rng(0)
    counts = np.bincount([draw(logits, 1.0, None, rng) for _ in range(4000)]) / 4000
    np.testing.assert_allclose(counts, [0.2, 0.5, 0.3], atol=0.03)


def test_too_many_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="11 positions are more than the context of 10"):
        model()(Tensor(np.zeros((1, 11), np.int64)))


def test_generation_needs_a_beginning() -> None:
    with pytest.raises(ValueError, match="at least one id"):
        model().generate([], 3)
