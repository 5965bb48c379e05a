"""Sound things that a check might take for faults, and must not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.support.results import codes
from tests.support.subjects import Arrays, Bench, texts
from tests.support.tiny import TinyGPT
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

ALL = ("graph", "updates", "determinism", "batch_independence", "accumulation")


class Net(nn.Module):
    """(B, 8) -> (B, 5), with something between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x)))

    def between(self, h: Tensor) -> Tensor:
        return h.relu()


def passes(bench: Bench, model: Any, *checks: str, **more: Any) -> None:
    for check in checks or ALL:
        result = bench.run(check, model, **more)
        assert result.outcome == "passed", (check, codes(result), result.findings, result.reason)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kinks(bench: Bench, dtype: str) -> None:
    class Kinks(Net):
        def between(self, h: Tensor) -> Tensor:
            return h.abs() + h.relu() + h.max(-1, keepdim=True).values

    passes(bench, Kinks, dtype=dtype)


def test_at_the_kink(bench: Bench) -> None:
    class Zero(Net):
        def __init__(self) -> None:
            super().__init__()
            self.first.bias.data[...] = 0

        def between(self, h: Tensor) -> Tensor:
            return F.leaky_relu(h * 1e-12) * 1e12

    passes(bench, Zero, "graph")


def test_embedding_rows_that_no_batch_uses(bench: Bench) -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5000, 11)

        def forward(self, ids: Tensor) -> Tensor:
            return self.table(ids)

    passes(bench, Table, data="texts", loss="sequence_cross_entropy")


def test_bias_of_the_attention_key(bench: Bench) -> None:
    class KeyBias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(11, 8)
            self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 11)

        def forward(self, ids: Tensor) -> Tensor:
            x = self.tokens(ids)
            scores = self.q(x) @ self.k(x).transpose(-2, -1) / math.sqrt(8)
            return F.softmax(scores, dim=-1) @ self.v(x)

    passes(bench, KeyBias, "graph", "updates", data="texts", loss="sequence_cross_entropy")
    for name in ("sgd", "adam"):
        passes(
            bench,
            KeyBias,
            "updates",
            data="texts",
            loss="sequence_cross_entropy",
            optimizer={"name": name, "lr": 0.1},
        )


@pytest.mark.parametrize("length", [1, 3, 7])
@pytest.mark.parametrize("batch", [1, 3])
def test_odd_shapes(bench: Bench, length: int, batch: int) -> None:
    bench.data("odd", lambda: texts(count=10, length=length))
    passes(
        bench, TinyGPT, "graph", "updates", "determinism", "init",
        data="odd", batch=batch, loss="sequence_cross_entropy",
    )  # fmt: skip


def test_tied_weights(bench: Bench) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(11, 8)
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.tokens(ids))

    passes(bench, Tied, data="texts", loss="sequence_cross_entropy")


def test_frozen_on_purpose(bench: Bench) -> None:
    class Frozen(Net):
        def __init__(self) -> None:
            super().__init__()
            self.first.requires_grad_(False)
            self.second.bias.requires_grad = False

    passes(bench, Frozen)
    result = bench.run("graph", Frozen)
    assert result.notes == ("frozen on purpose: first.weight, first.bias, second.bias",)


def test_frozen_and_declared(bench: Bench) -> None:
    class Table(Net):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(np.ones(12, np.float32), requires_grad=False)

        def between(self, h: Tensor) -> Tensor:
            return h * self.table

    assert codes(bench.run("graph", Table)) == ["not_trainable"]
    passes(bench, Table, "graph", frozen=["tab*"])


def test_parameter_of_train_mode_only(bench: Bench) -> None:
    class Auxiliary(Net):
        def __init__(self) -> None:
            super().__init__()
            self.extra = nn.Parameter(np.zeros(12, np.float32))

        def between(self, h: Tensor) -> Tensor:
            return (h + self.extra if self.training else h).tanh()

    passes(bench, Auxiliary, "graph", "updates", training=True)
    passes(bench, Auxiliary, "graph", "updates", training=False)


def test_batch_norm_with_accumulation_declared_off(bench: Bench) -> None:
    class Normed(Net):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(12)

        def between(self, h: Tensor) -> Tensor:
            return self.norm(h).relu()

    passes(bench, Normed, "graph", "updates", "determinism", "batch_independence")
    assert codes(bench.run("accumulation", Normed)) == ["accumulation_differs"]
    declared = bench.run("accumulation", Normed, enabled=False)
    assert declared.outcome == "skipped"
    assert "enabled: false" in (declared.reason or "")


def test_dropout_with_a_seed(bench: Bench) -> None:
    class Dropped(Net):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def between(self, h: Tensor) -> Tensor:
            return self.drop(h.tanh())

    passes(bench, Dropped)


def test_outputs_whose_sum_is_constant(bench: Bench) -> None:
    class Probabilities(Net):
        def between(self, h: Tensor) -> Tensor:
            return F.softmax(h, dim=-1) * 10

    passes(bench, Probabilities)


def test_small_and_large_gradients_in_one_model(bench: Bench) -> None:
    class Scales(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.second((self.first(x) * 1e-7).tanh()) + self.first(x)[:, :5] * 1e-9

    passes(bench, Scales, "graph", "updates")


def test_layer_that_starts_at_zero(bench: Bench) -> None:
    """As in LoRA: what lies before it has a true gradient of zero at the start."""

    class LoRA(Net):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 12, bias=False)
            self.up.weight.data[...] = 0

        def forward(self, x: Tensor) -> Tensor:
            return self.second((self.first(x) + self.up(self.down(x))).tanh())

    passes(bench, LoRA, "graph", "updates")


def test_stop_gradients_that_are_meant(bench: Bench) -> None:
    class Stable(Net):
        def between(self, h: Tensor) -> Tensor:
            h = h - h.detach().max(-1, keepdim=True).values
            h = h - Tensor(h.data.max(-1, keepdims=True)) * 0.0
            return h.exp() / h.exp().sum(-1, keepdim=True)

    passes(bench, Stable)


def test_metrics_off_the_path_of_the_loss(bench: Bench) -> None:
    seen: list[float] = []

    def step(model: Any, batch: Any, loss: Any) -> Tensor:
        logits = model(batch[0])
        value = loss(logits, batch[1])
        guess = Tensor(np.argmax(logits.data, axis=-1))
        seen.append(float((guess.data == batch[1].data).mean()))
        seen.append(float(value) + value.item() + round(float(np.mean(logits.data)), 3))
        seen.append(f"{np.mean(logits.data):.3f} {logits.numpy().std():g}")
        assert np.mean(logits.data) < 1e9
        return value

    passes(bench, Net, "graph", step=step)
    assert seen


def test_cut_that_the_case_allows(bench: Bench) -> None:
    class Teacher(Net):
        def __init__(self) -> None:
            super().__init__()
            self.teacher = nn.Linear(12, 12)

        def between(self, h: Tensor) -> Tensor:
            return h + self.teacher(h).detach()

    assert codes(bench.run("graph", Teacher)) == ["cut"]
    place = bench.run("graph", Teacher).findings[0].where
    assert place is not None
    line = place.rpartition(":")[2]
    for allowed in (
        f"test_correct_things.py:{line}", "test_correct_things.py", "between", "self.teacher",
    ):  # fmt: skip
        result = bench.run("graph", Teacher, allow=[allowed])
        assert result.outcome == "passed", (allowed, result.findings)
        assert any("allowed by the case: the cut at " in note for note in result.notes)
    assert codes(bench.run("graph", Teacher, allow=["elsewhere.py"])) == ["cut"]


def test_plain_objects_and_lists(bench: Bench) -> None:
    class Layer:
        def __init__(self, n: int, m: int) -> None:
            rng = np.random.default_rng(n)
            self.w = Tensor(rng.normal(0, 0.3, (n, m)).astype("f4"), requires_grad=True)

    class Plain:
        """No Module at all: layers in a list, `parameters` by hand."""

        def __init__(self) -> None:
            self.layers = [Layer(8, 12), Layer(12, 5)]

        def parameters(self) -> list[Tensor]:
            return [layer.w for layer in self.layers]

        def __call__(self, x: Tensor) -> Tensor:
            return (x @ self.layers[0].w).tanh() @ self.layers[1].w

    passes(bench, Plain)

    class Doubled(Plain):
        def parameters(self) -> list[Tensor]:
            return [*super().parameters(), self.layers[0].w]

    result = bench.run("graph", Doubled)
    assert codes(result) == ["registered_twice"]
    assert result.findings[0].parameter == "layers.0.w"

    class Short(Plain):
        def parameters(self) -> list[Tensor]:
            return [self.layers[1].w]

    assert codes(bench.run("graph", Short)) == ["not_in_parameters"]


def test_result_of_an_op_as_parameter(bench: Bench) -> None:
    class Scaled(Net):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(np.ones(12, np.float32)) * 0.5

        def between(self, h: Tensor) -> Tensor:
            return h * self.gain

    result = bench.run("graph", Scaled)
    assert codes(result) == ["not_a_leaf"]
    assert result.findings[0].where is not None
    assert "test_correct_things.py:" in result.findings[0].where


def test_pullback_that_gives_almost_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinytorch import OPS

    original = OPS["tanh"].fn

    def weak(factor: float) -> Any:
        def tanh(x: Any) -> Any:
            y, pullback = original(x)
            return y, lambda g: pullback(g) * factor

        return tanh

    class Tanh(Net):
        def between(self, h: Tensor) -> Tensor:
            return h.tanh()

    passes(bench, Tanh, "graph")
    monkeypatch.setattr(OPS["tanh"], "fn", weak(0.0))
    result = bench.run("graph", Tanh)
    assert codes(result) == ["zero_gradient"]
    assert result.findings[0].data["parameters"] == ["first.weight", "first.bias"]
    monkeypatch.setattr(OPS["tanh"], "fn", weak(1e-9))
    assert codes(bench.run("graph", Tanh)) == ["vanishing_gradient"]


def test_sequences_of_one_sample_repeat(bench: Bench) -> None:
    """Repeating texts match at several shifts: no reason to call them misaligned."""
    bench.data("same", lambda: Arrays(np.ones((20, 6), int), np.ones((20, 6), int)))
    result = bench.run("alignment", TinyGPT, data="same", loss="sequence_cross_entropy")
    assert result.outcome == "passed"


def test_faults_that_look_sound(bench: Bench) -> None:
    class Overwritten(Net):
        def between(self, h: Tensor) -> Tensor:
            h.data = np.tanh(h.data)
            return h

    finding = bench.run("graph", Overwritten).findings[0]
    assert (finding.code, finding.advice) == (
        "cut",
        "use a Tensor operation instead: h = h.tanh()",
    )
    assert "only a part of their gradient" in finding.message

    class Replaced(Net):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(np.ones(12, np.float32))

        def between(self, h: Tensor) -> Tensor:
            self.gain = nn.Parameter(self.gain.data * 0.99)
            return h * self.gain

    finding = bench.run("graph", Replaced).findings[0]
    assert (finding.code, finding.parameter) == ("cut", "gain")

    class Stateful(Net):
        last: Tensor | None = None

        def between(self, h: Tensor) -> Tensor:
            h = h if self.last is None else h + self.last
            self.last = h.detach()
            return h

    assert codes(bench.run("determinism", Stateful)) == ["not_repeatable", "not_repeatable"]

    def mean_of_array(model: Any, batch: Any, loss: Any) -> Any:
        return np.mean(loss(model(batch[0]), batch[1]).data)

    assert codes(bench.run("graph", Net, step=mean_of_array)) == ["cut"]

    class Frozen(Net):
        def __init__(self) -> None:
            super().__init__()
            self.requires_grad_(False)

    assert codes(bench.run("graph", Frozen)) == ["nothing_trains"]
