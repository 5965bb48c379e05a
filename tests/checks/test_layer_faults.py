"""Layers with a classical fault: the check that must see each, its finding, its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck.result import Result
from tests.support.results import codes, only
from tests.support.subjects import Bench
from tests.support.tiny import TinyGPT
from tinytorch import Tensor, nn

TINY = Path(__file__).parents[1] / "support" / "tiny.py"


def line_of(text: str) -> str:
    """'tests/support/tiny.py:N' of the only line that contains the text."""
    rows = TINY.read_text(encoding="utf-8").splitlines()
    found = [i for i, row in enumerate(rows, 1) if text in row]
    assert len(found) == 1
    return f"tiny.py:{found[0]}"


def language(bench: Bench, check: str, fault: str | None, **more: Any) -> Result:
    return bench.run(
        check,
        lambda: TinyGPT(fault=fault),
        data="texts",
        loss="sequence_cross_entropy",
        **more,
    )


CHECKS = (
    "graph", "init", "causality", "batch_independence", "determinism", "alignment", "updates",
    "accumulation", "loader", "multibatch",
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_the_sound_model_passes(bench: Bench, check: str) -> None:
    options = {"fraction": 1.2} if check == "multibatch" else {}  # random texts teach nothing
    result = language(bench, check, None, **options)
    assert result.outcome == "passed", (result.findings, result.reason)


@pytest.mark.parametrize("fault", ["mask_off_by_one", "no_mask"])
def test_mask(bench: Bench, fault: str) -> None:
    finding = only(language(bench, "causality", fault))
    assert finding.code == "sees_future"
    assert finding.index == (0,)
    assert "the output at time 0 depends on inputs from time 1 on" in finding.message
    assert finding.op == "softmax" or finding.op == "where"
    assert finding.where is not None
    assert "tiny.py:" in finding.where


def test_softmax_over_queries(bench: Bench) -> None:
    finding = only(language(bench, "causality", "softmax_over_queries"))
    assert (finding.code, finding.op) == ("sees_future", "softmax")
    assert finding.where is not None
    assert finding.where.endswith(line_of("y = F.softmax(scores, dim=dim)"))


def test_softmax_over_batch(bench: Bench) -> None:
    finding = only(language(bench, "batch_independence", "softmax_over_batch"))
    assert (finding.code, finding.op) == ("depends_on_batch", "softmax")
    assert finding.where is not None
    assert finding.where.endswith(line_of("y = F.softmax(scores, dim=dim)"))


@pytest.mark.parametrize("width", [16, 64])
def test_scores_without_scale(bench: Bench, width: int) -> None:
    def model(fault: str | None) -> Any:
        return lambda: TinyGPT(width=width, fault=fault)

    args = {"data": "texts", "loss": "sequence_cross_entropy"}
    assert bench.run("init", model(None), **args).outcome == "passed"
    finding = only(bench.run("init", model("no_scale"), **args))
    assert finding.code == "scores_too_large"
    assert f"{math.sqrt(width // 2):.1f} times as large as q k / sqrt({width // 2})" in (
        finding.message
    )
    assert bench.run("init", model("no_scale"), scores=False, **args).outcome == "passed"


def test_dropout_in_eval(bench: Bench) -> None:
    finding = only(language(bench, "determinism", "dropout_in_eval"))
    assert finding.code == "random_in_eval"
    assert finding.where is not None
    assert finding.where.endswith(line_of("return self.head(x + F.dropout"))


@pytest.mark.parametrize(
    ("fault", "reached"),
    [("positions_unused", "never reached"), ("positions_times_zero", "reached, gradient zero")],
)
def test_positions_without_effect(bench: Bench, fault: str, reached: str) -> None:
    finding = only(language(bench, "graph", fault))
    assert (finding.code, finding.parameter) == ("no_effect", "positions")
    assert reached in finding.message


def test_attention_detached(bench: Bench) -> None:
    finding = only(language(bench, "graph", "attention_detached"))
    assert finding.code == "cut"
    assert finding.where is not None
    assert finding.where.endswith(line_of("y = y.detach()"))
    # only what feeds the attention alone loses its gradient
    assert set(finding.data["parameters"]) == {
        "norm1.weight", "norm1.bias", "attention.qkv.weight", "attention.qkv.bias"
    }  # fmt: skip


def test_forward_without_grad(bench: Bench) -> None:
    finding = only(language(bench, "graph", "forward_without_grad"))
    assert finding.code == "cut"
    assert finding.where is not None
    assert finding.where.endswith(line_of("with no_grad():"))
    assert {"up.weight", "down.weight", "norm2.weight"} <= set(finding.data["parameters"])


class UntrainedNorm(nn.Module):
    """A norm that makes its own scale and shift and then switches them off."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 5)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.norm(self.first(x)))


def test_norm_that_switches_its_parameters_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = nn.LayerNorm.__init__

    def broken(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.weight.requires_grad = False
        self.bias.requires_grad = False

    monkeypatch.setattr(nn.LayerNorm, "__init__", broken)
    finding = only(bench.run("graph", UntrainedNorm))
    assert finding.code == "not_trainable"
    assert finding.data["parameters"] == ["norm.weight", "norm.bias"]


def test_large_head_on_sequences(bench: Bench) -> None:
    finding = only(language(bench, "init", "large_head"))
    assert finding.code == "first_loss_high"
    assert finding.numeric == pytest.approx(math.log(11))
    assert "standard deviation" in finding.message


def test_large_head_on_classes(bench: Bench) -> None:
    class Net(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 5)
            self.layer.weight.data[...] *= factor

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    assert bench.run("init", lambda: Net(1.0)).outcome == "passed"
    assert codes(bench.run("init", lambda: Net(20.0))) == ["first_loss_high"]


def test_dead_relu(bench: Bench) -> None:
    finding = only(language(bench, "graph", "dead_relu"))
    assert finding.code == "dead_units"
    assert finding.data["share"] == 1.0
    assert finding.data["units"] == list(range(32))
    assert "32 of 32 units of relu" in finding.message
    assert finding.lines[0].startswith("they shut off: ")


def test_few_dead_units_are_normal(bench: Bench) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 10), nn.Linear(10, 5)
            self.first.bias.data[:4] = -1000

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x).relu())

    assert bench.run("graph", Net).outcome == "passed"
    assert codes(bench.run("graph", Net, max_dead=0.4)) == ["dead_units"]
    assert np.isclose(bench.run("graph", Net, max_dead=0.4).findings[0].data["share"], 0.4)
