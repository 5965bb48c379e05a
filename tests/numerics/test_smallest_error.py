"""An error of one millionth in a single entry, outside every op: where no local check can see it.

A transformer of 26,752 parameters, the entry of median size, in tensors of 32 to 4,096 entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.transformer.gpt import GPT

import tinytorch
from gradcheck import check_gradients
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.numerics.examine import Settings, examine
from gradcheck.probe.from_model import ModelSubject
from gradcheck.result import Result
from tinytorch import Tensor
from tinytorch.nn import functional as F

pytestmark = pytest.mark.slow

IDS, TARGETS = np.random.default_rng(0).integers(0, 16, (2, 2, 8))
ERROR = 1e-6


class Spoilt(TinyTorch):
    """One entry of one parameter's gradient is off when it is read."""

    target: tuple[str, tuple[int, ...]] | None = None

    def named_parameters(self, model: Any) -> Any:
        found = super().named_parameters(model)
        self.names = {id(leaf): name for name, leaf in found.items()}
        return found

    def grad(self, leaf: Any) -> Any:
        g = super().grad(leaf)
        if g is not None and self.target and self.names.get(id(leaf)) == self.target[0]:
            g[self.target[1]] *= 1 + ERROR
        return g


def loss(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits.reshape(-1, 16), Tensor(TARGETS.reshape(-1)))


def model() -> GPT:
    tinytorch.manual_seed(0)
    return GPT(vocab=16, context=8, layers=2, heads=4, width=32)


def check(framework: TinyTorch, seed: int) -> Result:
    return check_gradients(model(), IDS, loss=loss, framework=framework, seed=seed)


def median_entry(name: str, seed: int) -> tuple[int, ...]:
    """At the point where the check with this seed looks."""
    subject = ModelSubject(
        model(),
        TinyTorch(),
        batch=[IDS],
        step=lambda made, batch, _: loss(made(*batch)),
        seed=seed,
    )
    point = examine(subject, Settings(scalar=True)).point
    assert point is not None
    gradient = point.analytic[name]
    assert gradient is not None
    flat = np.abs(gradient).reshape(-1)
    middle = np.argsort(flat)[flat.size // 2]
    return tuple(int(i) for i in np.unravel_index(middle, gradient.shape))


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("blocks.1.norm2.bias", 0),
        ("blocks.1.attn.qkv.bias", 1),
        ("head.weight", 1),
        # Missed with the steps that single entries begin with, ...
        ("token_embedding.weight", 3),
        ("blocks.1.attn.qkv.weight", 6),
        ("blocks.1.mlp.up.weight", 4),
        # ... or when directions have to disagree by as many error bars as an entry alone.
        ("blocks.0.attn.qkv.weight", 4),
        ("blocks.1.attn.qkv.weight", 0),
        ("blocks.0.mlp.up.weight", 2),
        ("blocks.1.mlp.up.weight", 5),
    ],
)
def test_a_millionth_is_seen_and_the_entry_is_named(name: str, seed: int) -> None:
    framework = Spoilt()
    framework.target = (name, median_entry(name, seed))
    result = check(framework, seed)
    assert [(f.code, f.parameter, f.index) for f in result.findings] == [
        ("wrong_gradient", *framework.target)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_seen_where_nothing_is_wrong(seed: int) -> None:
    assert check(Spoilt(), seed).outcome == "passed"
