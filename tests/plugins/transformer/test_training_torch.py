"""The plugin's GPT in PyTorch: the same function, and the same 20 steps of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.transformer import threads
from gradcheck.plugins.transformer.gpt import GPT

import tinytorch
from gradcheck.engine import run_check
from gradcheck.names import load as plugins
from gradcheck.yamlcases.case import Case, DataSpec, Named
from tinytorch import Tensor, optim
from tinytorch.nn import functional as F

torch = pytest.importorskip("torch")

SIZES: dict[str, Any] = {"vocab": 45, "context": 16, "layers": 2, "heads": 4, "width": 32}


@pytest.mark.parametrize("framework", ["pytorch", "tinytorch"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_reference_check_agrees(framework: str, tied: bool) -> None:
    options = {"framework": "pytorch"} if framework == "pytorch" else {"model": "textbook_gpt"}
    case = Case(
        name="gpt",
        model="gpt",
        args={**SIZES, "tied": tied, "bias": False},
        data=DataSpec.model_validate({"name": "stories", "context": 16, "stories": 60}),
        loss=Named(name="sequence_cross_entropy"),
        checks={"reference": options},
    )
    result = run_check(case, "reference", plugins.load())
    assert result.outcome == "passed", result
    assert result.measurements["worst_relative_error"] < 1e-10


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_twenty_steps_in_float32(activation: str) -> None:
    from gradcheck.plugins.transformer import in_torch

    tinytorch.manual_seed(0)
    ours = GPT(**SIZES, activation=activation)
    theirs = in_torch.GPT(**SIZES, activation=activation)
    own = dict(ours.named_parameters())
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            p.copy_(torch.from_numpy(own[name].data))
    mine = optim.AdamW(ours.parameters(), lr=1e-3)
    other = torch.optim.AdamW(theirs.parameters(), lr=1e-3)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.reshape(-1, 45), targets.reshape(-1))

    rng = np.random.default_rng(0)
    for _ in range(20):
        ids = (rng.integers(0, 45, (8, 1)) + np.arange(17)) % 45
        here = threads.train(ours, (Tensor(ids[:, :-1]), Tensor(ids[:, 1:])), loss, mine).item()
        other.zero_grad()
        logits = theirs(torch.from_numpy(ids[:, :-1]))
        there = torch.nn.functional.cross_entropy(
            logits.reshape(-1, 45), torch.from_numpy(ids[:, 1:]).reshape(-1)
        )
        there.backward()
        other.step()
        assert here == pytest.approx(there.item(), abs=1e-3)
    assert here < 3.5  # it learned
