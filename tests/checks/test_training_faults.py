"""Losses, loops and optimizers with a classical fault, and the check that must see each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.nets import Net, Table, plain_step
from tests.support.results import codes, only
from tests.support.subjects import Arrays, Bench, texts
from tinytorch import Tensor, optim
from tinytorch.nn import functional as F

# --- the loss -----------------------------------------------------------------------------------


@pytest.mark.parametrize("check", ["init", "overfit"])
def test_sign_flipped(bench: Bench, check: str) -> None:
    result = bench.run(check, Net, loss=lambda out, y: -F.cross_entropy(out, y))
    assert only(result).code == "negative_loss"


def test_softmax_twice(bench: Bench) -> None:
    def twice(out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(F.softmax(out, dim=-1), y)

    result = bench.run("overfit", Net, loss=twice, steps=60, below=0.2)
    finding = only(result)
    assert finding.code == "no_rate_helps"
    assert "keeps it above 0.90 = log(e + C - 1) - 1" in finding.lines[-1]
    assert only(bench.run("init", Net, loss=twice)).code == "softmax_twice"

    class Probabilities(Net):
        def forward(self, x: Tensor) -> Tensor:
            return F.softmax(super().forward(x), dim=-1)

    assert only(bench.run("init", Probabilities)).code == "softmax_twice"
    result = bench.run("overfit", Probabilities, steps=60, below=0.2)
    assert "the model's outputs already sum to 1" in only(result).lines[-1]


def test_targets_shifted_twice(bench: Bench) -> None:
    bench.data("texts2", lambda: texts(shift=2))
    args: dict[str, Any] = {"loss": "sequence_cross_entropy"}
    finding = only(bench.run("alignment", Table, data="texts2", **args))
    assert (finding.code, finding.data["shift"]) == ("misaligned", 2)

    def again(model: Any, batch: Any, loss: Any) -> Tensor:
        return loss(model(batch[0])[:, :-1], batch[1][:, 1:])

    finding = only(bench.run("alignment", Table, data="texts", step=again, **args))
    assert (finding.code, finding.data["shift"]) == ("misaligned", 2)

    def back(model: Any, batch: Any, loss: Any) -> Tensor:
        return loss(model(batch[0])[:, 1:], batch[1][:, :-1])

    finding = only(bench.run("alignment", Table, data="texts", step=back, **args))
    assert (finding.code, finding.data["shift"]) == ("misaligned", 0)

    def once(model: Any, batch: Any, loss: Any) -> Tensor:
        return loss(model(batch[0])[:, :-1], batch[0][:, 1:])

    assert bench.run("alignment", Table, data="texts", step=once, **args).outcome == "passed"


def test_padding_in_the_loss(bench: Bench) -> None:
    def padded() -> Arrays:
        data = texts()
        data.arrays[1][:, -2:] = 0
        data.arrays[1][:, :-2] = np.maximum(data.arrays[1][:, :-2], 1)
        return data

    bench.data("padded", padded)
    args: dict[str, Any] = {"data": "padded", "loss": "sequence_cross_entropy"}
    finding = only(bench.run("alignment", Table, pad=0, **args))
    assert (finding.code, finding.data["id"]) == ("padding_counts", 0)
    kept = {**args, "loss_args": {"ignore_index": 0}}
    assert bench.run("alignment", Table, pad=0, **kept).outcome == "passed"
    assert bench.run("alignment", Table, **kept).outcome == "passed"


# --- the loop -----------------------------------------------------------------------------------


def test_zero_grad_missing(bench: Bench) -> None:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        value = plain_step(model, batch, loss)
        value.backward()
        optimizer.step()
        return value

    finding = only(bench.run("updates", Net, step=plain_step, train=train))
    assert finding.code == "gradient_accumulates"
    assert finding.analytic == pytest.approx(2 * finding.numeric)

    def cleared(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        value = plain_step(model, batch, loss)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    assert bench.run("updates", Net, step=plain_step, train=cleared).outcome == "passed"


def micro(normalised: bool) -> Any:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        optimizer.zero_grad()
        total = Tensor(0.0)
        for i in range(4):
            part = loss(model(batch[0][2 * i : 2 * i + 2]), batch[1][2 * i : 2 * i + 2])
            part = part / 4 if normalised else part
            part.backward()
            total = total + part.detach()
        optimizer.step()
        return total

    return train


def test_micro_batches_not_normalised(bench: Bench) -> None:
    finding = only(bench.run("accumulation", Net, step=plain_step, train=micro(False)))
    assert finding.code == "not_normalised"
    assert finding.data["ratio"] == pytest.approx(4)
    assert "(4)" in (finding.advice or "")
    assert bench.run("accumulation", Net, step=plain_step, train=micro(True)).outcome == "passed"


def test_micro_batches_with_ignored_targets(bench: Bench) -> None:
    def padded() -> Arrays:
        data = texts()
        for i in range(32):
            data.arrays[1][i, 1 + i % 6 :] = 0
        return data

    bench.data("padded", padded)
    args: dict[str, Any] = {"loss": "sequence_cross_entropy", "loss_args": {"ignore_index": 0}}
    assert bench.run("accumulation", Table, data="padded", parts=4, **args).outcome == "passed"


def test_sum_over_the_batch(bench: Bench) -> None:
    def summed(out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(out, y, reduction="sum")

    finding = only(bench.run("accumulation", Net, loss=summed))
    assert finding.code == "accumulation_differs"
    assert "0.5 times as large throughout" in finding.message


@pytest.mark.parametrize(
    ("optimizer", "code", "words"),
    [
        ({"name": "adam", "lr": 1e-6}, "lr_too_low", "is too low by about"),
        ({"name": "sgd", "lr": 1e4}, "lr_too_high", "is too high"),
        ({"name": "adam", "lr": 10.0}, "lr_too_high", "is too high"),
    ],
)
def test_learning_rate(bench: Bench, optimizer: Any, code: str, words: str) -> None:
    result = bench.run("overfit", Net, optimizer=optimizer, steps=60, below=0.1)
    finding = only(result)
    assert finding.code == code
    assert words in finding.message
    sweep = result.figures["lr_sweep"]
    assert len(sweep["lr"]) == len(sweep["final"]) >= 2
    good = [lr for lr, final in zip(sweep["lr"], sweep["final"]) if final <= 0.1]
    assert good
    assert result.figures["loss_curve"]["loss"][0] == pytest.approx(sweep["first"], rel=1e-5)


def test_no_rate_helps(bench: Bench) -> None:
    class Blind(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x * 0.0)

    finding = only(bench.run("overfit", Blind, steps=60, below=0.1))
    assert finding.code == "no_rate_helps"
    assert "look elsewhere" in finding.message


def test_layer_missing_from_the_optimizer(bench: Bench) -> None:
    bench.add("optimizer", "half", lambda model, lr: optim.Adam(model.second.parameters(), lr=lr))
    finding = only(bench.run("updates", Net, optimizer={"name": "half", "lr": 0.01}))
    assert finding.code == "not_in_optimizer"
    assert finding.data["parameters"] == ["first.weight", "first.bias"]


def test_parameter_twice_in_the_optimizer(bench: Bench) -> None:
    class Twice:
        def __init__(self, params: Any, lr: float) -> None:
            params = list(params)
            self.params, self.lr = [*params, params[0]], lr

        def zero_grad(self) -> None:
            for p in self.params:
                p.grad = None

        def step(self) -> None:
            for p in self.params:
                p.data -= self.lr * p.grad

    bench.add("optimizer", "twice", Twice)
    result = bench.run("updates", Net, optimizer={"name": "twice", "lr": 0.01})
    assert codes(result) == ["twice_in_optimizer"]
    result = bench.run("updates", Net, optimizer={"name": "twice", "lr": 0.01}, formula="sgd")
    assert codes(result) == ["twice_in_optimizer", "optimizer_formula"]


class Uncorrected:
    """Adam as it is often written first: without 1 / (1 - beta^t)."""

    def __init__(self, params: Any, lr: float) -> None:
        self.params, self.lr = list(params), lr
        self.m = [np.zeros(p.shape) for p in self.params]
        self.v = [np.zeros(p.shape) for p in self.params]

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        for p, m, v in zip(self.params, self.m, self.v):
            m += 0.1 * (p.grad - m)
            v += 0.001 * (p.grad**2 - v)
            p.data -= self.lr * m / (np.sqrt(v) + 1e-8)


def test_adam_without_bias_correction(bench: Bench) -> None:
    bench.add("optimizer", "my_adam", Uncorrected)
    finding = only(bench.run("updates", Net, optimizer={"name": "my_adam", "lr": 0.01}))
    assert finding.code == "optimizer_formula"
    assert finding.message.startswith(
        "optimizer my_adam does not follow the formula of adam: at step 1"
    )
    assert "the bias correction 1/(1 - beta^t) is missing" in finding.message
    result = bench.run("updates", Net, optimizer={"name": "my_adam", "lr": 0.01}, formula="none")
    assert result.outcome == "passed"


def test_sgd_that_climbs(bench: Bench) -> None:
    class Climb(Uncorrected):
        def step(self) -> None:
            for p in self.params:
                p.data += self.lr * p.grad

    bench.add("optimizer", "my_sgd", Climb)
    finding = only(bench.run("updates", Net, optimizer={"name": "my_sgd", "lr": 0.01}))
    assert "it climbs" in finding.message


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "lr": 0.1},
        {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
        {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"name": "adam", "lr": 0.1},
        {"name": "adam", "lr": 0.1, "betas": [0.5, 0.7], "eps": 1e-3, "weight_decay": 0.1},
        {"name": "adamw", "lr": 0.1},
        {"name": "adamw", "lr": 0.1, "weight_decay": 0.3},
        {"name": "rmsprop", "lr": 0.1},
        {"name": "rmsprop", "lr": 0.1, "centered": True, "momentum": 0.5, "alpha": 0.7},
    ],
    ids=lambda o: "-".join(f"{k}" for k in o if k != "lr") + str(o["name"]),
)
def test_sound_optimizers_pass(bench: Bench, optimizer: dict[str, Any]) -> None:
    result = bench.run("updates", Net, optimizer=optimizer, steps=4)
    assert result.outcome == "passed", result.findings
    assert not result.notes


def test_frozen_parameter_that_moves(bench: Bench) -> None:
    class Frozen(Net):
        def __init__(self) -> None:
            super().__init__()
            self.first.requires_grad_(False)

    class Decay:
        """Weight decay on everything, gradient or not."""

        def __init__(self, model: Any, lr: float) -> None:
            self.params, self.lr = list(model.parameters()), lr

        def zero_grad(self) -> None:
            for p in self.params:
                p.grad = None

        def step(self) -> None:
            for p in self.params:
                p.data -= self.lr * (0.1 * p.data + (0 if p.grad is None else p.grad))

    bench.add("optimizer", "decay", Decay)
    finding = only(bench.run("updates", Frozen, optimizer={"name": "decay", "lr": 0.1}))
    assert finding.code == "frozen_moved"
    assert finding.data["parameters"] == ["first.weight", "first.bias"]
    assert bench.run("updates", Frozen).outcome == "passed"
    declared = bench.run("updates", Net, frozen=["second.*"])
    assert only(declared).data["parameters"] == ["second.weight", "second.bias"]


def test_buffer_that_the_optimizer_moves(bench: Bench) -> None:
    class Buffered(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", Tensor(np.ones(5, np.float32)))

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * self.scale

    class Greedy:
        def __init__(self, model: Any, lr: float) -> None:
            self.model, self.params, self.lr = model, list(model.parameters()), lr

        def zero_grad(self) -> None:
            for p in self.params:
                p.grad = None

        def step(self) -> None:
            for p in self.params:
                p.data -= self.lr * p.grad
            self.model.scale.data[...] *= 0.9

    bench.add("optimizer", "greedy", Greedy)
    assert bench.run("updates", Buffered).outcome == "passed"
    result = bench.run("updates", Buffered, optimizer={"name": "greedy", "lr": 0.1})
    assert "buffer_moved" in codes(result)


def test_nothing_moves(bench: Bench) -> None:
    result = bench.run("updates", Net, optimizer={"name": "sgd", "lr": 0.0})
    assert codes(result) == ["not_moved"]


def test_gradients_that_the_training_step_loses_are_told_from_those_that_the_loss_lacks(
    bench: Bench,
) -> None:
    def without_backward(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        value = plain_step(model, batch, loss)
        optimizer.step()
        return value

    lost = only(bench.run("updates", Net, step=plain_step, train=without_backward))
    assert lost.message.startswith("4 of 4 parameters did not change after one step: ")
    assert (
        "None of them got a gradient in the training step, though the loss has one" in lost.message
    )
    assert "backward() runs before optimizer.step()" in str(lost.advice)

    def cut(model: Any, batch: Any, loss: Any) -> Tensor:
        return loss(model.second(model.first(batch[0]).detach()), batch[1])

    lacking = only(bench.run("updates", Net, step=cut))
    assert lacking.message == (
        "2 of 4 parameters did not change after one step: first.weight, first.bias. "
        "Neither got a gradient; run `graph` to see why"
    )
    assert lacking.advice is None


def test_step_that_never_updates(bench: Bench) -> None:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        value = plain_step(model, batch, loss)
        value.backward()
        return value

    assert codes(bench.run("updates", Net, step=plain_step, train=train)) == ["no_step"]


def test_gradient_not_finite_behind_a_finite_loss(bench: Bench) -> None:
    class Root(Net):
        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x) * 0.0
            return self.second(self.first(x) + h.sqrt())

    finding = only(bench.run("overfit", Root))
    assert finding.code == "gradient_not_finite"
    assert "at step 0 the loss is finite" in finding.message
    assert "not_finite" in codes(bench.run("graph", Root))


@pytest.mark.parametrize("seed", range(3))
def test_a_step_that_leaves_nan_or_nothing_at_all(bench: Bench, seed: int) -> None:
    class Spoils:
        def __init__(self, model: Any, lr: float) -> None:
            self.params = list(model.parameters())

        def zero_grad(self) -> None:
            for p in self.params:
                p.grad = None

        def step(self) -> None:
            for p in self.params:
                p.data = np.full_like(p.data, np.nan)

    class Deaf(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 0.0

    bench.add("optimizer", "spoils", Spoils)
    options = {"formula": "none", "seed": seed}
    result = bench.run("updates", Net, optimizer={"name": "spoils", "lr": 0.1}, **options)
    assert "not_finite" in codes(result)
    assert "nothing_moved" in codes(bench.run("updates", Deaf, seed=seed))
    assert bench.run("updates", Net, seed=seed).outcome == "passed"
