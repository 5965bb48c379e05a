"""Classes of faults that were missed on programs by others, and their right twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinytorch
from tests.support.nets import Net, Table, plain_step
from tests.support.results import codes, only
from tests.support.subjects import Arrays, Bench, texts
from tinytorch import Tensor, nn
from tinytorch.nn import functional as F

SEEDS = range(4)


# --- what reaches the optimizer -----------------------------------------------------------------


def stepping(change: Any) -> Any:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        optimizer.zero_grad()
        value = plain_step(model, batch, loss)
        value.backward()
        change(model)
        optimizer.step()
        return value

    return train


def scaled(factor: float) -> Any:
    def change(model: Any) -> None:
        for p in model.parameters():
            p.grad = p.grad * np.asarray(factor, p.dtype)

    return change


def clipped_together(model: Any) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), 0.01)


def clipped_apart(model: Any) -> None:
    for p in model.parameters():
        nn.utils.clip_grad_norm_([p], 0.01)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("factor", [0.01, 1 / 1024, 3.0])
def test_a_constant_factor_is_no_clipping(bench: Bench, factor: float, seed: int) -> None:
    train = stepping(scaled(factor))
    found = only(bench.run("updates", Net, step=plain_step, train=train, seed=seed))
    assert found.code == "gradient_scaled"
    assert found.data["ratio"] == pytest.approx(factor, rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_clipping_is_no_constant_factor(bench: Bench, seed: int) -> None:
    train = stepping(clipped_together)
    result = bench.run("updates", Net, step=plain_step, train=train, seed=seed)
    assert result.outcome == "passed"
    assert not result.notes


@pytest.mark.parametrize("seed", SEEDS)
def test_clipping_each_tensor_is_noted(bench: Bench, seed: int) -> None:
    train = stepping(clipped_apart)
    result = bench.run("updates", Net, step=plain_step, train=train, seed=seed)
    assert result.outcome == "passed"
    assert "each tensor is clipped by itself, to a norm of 0.01" in result.notes[0]


def in_parts(sizes: list[int], *, weighted: bool, inside: str = "") -> Any:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        optimizer.zero_grad()
        total, start = 0.0, 0
        for size in sizes:
            part = tuple(b[start : start + size] for b in batch)
            start += size
            weight = size / sum(sizes) if weighted else 1 / len(sizes)
            if inside == "fresh":
                optimizer.zero_grad()
            value = plain_step(model, part, loss) * Tensor(np.float32(weight))
            value.backward()
            total += float(value)
            if inside:
                optimizer.step()
        if not inside:
            optimizer.step()
        return Tensor(np.array(total))

    return train


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("train", "code"),
    [
        (in_parts([3, 3, 2], weighted=False), "unequal_parts"),
        (in_parts([3, 3, 2], weighted=True), None),
        (in_parts([4, 4], weighted=False), None),
        (in_parts([4, 4], weighted=False, inside="stale"), "steps_inside"),
        (in_parts([4, 4], weighted=False, inside="fresh"), None),
    ],
)
def test_micro_batches(bench: Bench, train: Any, code: str | None, seed: int) -> None:
    result = bench.run("accumulation", Net, step=plain_step, train=train, seed=seed)
    assert codes(result) == ([code] if code else [])


# --- shapes of the loss, masks ------------------------------------------------------------------


class OneOutput(nn.Module):
    """(B, 8) -> (B, 1) or (B,)."""

    flat = False

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.second(self.first(x).tanh())
        return out.reshape(-1) if self.flat else out


class FlatOutput(OneOutput):
    flat = True


def numbers() -> Arrays:
    rng = np.random.default_rng(3)
    return Arrays(rng.standard_normal((64, 8)).astype("f4"), rng.standard_normal(64).astype("f4"))


def squares(out: Tensor, y: Tensor) -> Tensor:
    return ((out - y) ** 2).mean()


def flattening(out: Tensor, y: Tensor) -> Tensor:
    return ((out.reshape(-1) - y) ** 2).mean()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("check", ["graph", "accumulation"])
def test_outputs_stretched_against_targets(bench: Bench, check: str, seed: int) -> None:
    bench.data("numbers", numbers)
    keys = {"data": "numbers", "seed": seed}
    found = only(bench.run(check, OneOutput, loss=squares, **keys))
    assert found.code == "stretched_loss"
    assert "(8, 1) against (8,)" in found.message or "(4, 1) against (4,)" in found.message
    assert bench.run(check, FlatOutput, loss=squares, **keys).outcome == "passed"
    assert bench.run(check, OneOutput, loss=flattening, **keys).outcome == "passed"


class Masked(Net):
    """A mask drawn by hand: from the same seed in each forward, or as it should be."""

    fixed = True

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        if self.training:
            rng = np.random.default_rng(0) if self.fixed else np.random
            mask = (rng.random(size=h.shape) > 0.5).astype(h.dtype)
            h = h * Tensor(mask * 2)
        return self.second(h)


class Dropped(Masked):
    fixed = False


class Normalised(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(32)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.norm(self.first(x)).relu())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("check", ["determinism", "accumulation"])
def test_the_same_mask_at_every_call(bench: Bench, check: str, seed: int) -> None:
    found = only(bench.run(check, Masked, seed=seed))
    assert found.code == "mask_repeats"
    assert bench.run(check, Dropped, seed=seed).outcome == "passed"
    assert "mask_repeats" not in codes(bench.run(check, Normalised, seed=seed))


# --- parts of a model without effect ------------------------------------------------------------


class Attends(nn.Module):
    """ids (B, T) -> (B, T, 11). wrong: the weights sum over the keys before the values come in."""

    wrong = False

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 11)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        t = x.shape[1]
        scores = self.q(x) @ self.k(x).transpose(-1, -2) / 8**0.5
        later = np.triu(np.ones((t, t), bool), k=1)
        weights = F.softmax(tinytorch.where(later, Tensor(np.float32(-1e9)), scores), -1)
        mixed = weights.sum(-1, keepdim=True) * self.v(x) if self.wrong else weights @ self.v(x)
        return self.head(x + mixed)


class SumsOut(Attends):
    wrong = True


@pytest.mark.parametrize("seed", SEEDS)
def test_attention_whose_effect_is_rounding(bench: Bench, seed: int) -> None:
    keys = {"data": "texts", "loss": "sequence_cross_entropy", "seed": seed}
    found = only(bench.run("graph", SumsOut, **keys))
    assert found.code == "no_effect"
    assert {"q.weight", "k.weight"} <= set(found.data["parameters"])
    assert only(bench.run("causality", SumsOut, **keys)).code == "sees_no_past"
    assert bench.run("graph", Attends, **keys).outcome == "passed"
    assert bench.run("causality", Attends, **keys).outcome == "passed"


class Half(Net):
    part = slice(0, 4)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 32)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, self.part])


class Even(Half):
    part = slice(0, 8, 2)


class Zeroed(Net):
    """A head that starts at zero: no input has an effect at first."""

    def __init__(self) -> None:
        super().__init__()
        self.second.weight._data = np.zeros(self.second.weight.shape, np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_part_of_the_input_without_effect(bench: Bench, seed: int) -> None:
    found = only(bench.run("graph", Half, seed=seed))
    assert found.code == "idle_input"
    assert "4 entries of 8 along axis 1 (4, 5, 6, 7) of input 0 have no effect" in found.message
    assert "(1, 3, 5, 7)" in only(bench.run("graph", Even, seed=seed)).message
    assert bench.run("graph", Half, seed=seed, unused_inputs=[0]).outcome == "passed"
    for right in (Net, Zeroed, Normalised, Dropped):
        assert bench.run("graph", right, seed=seed).outcome == "passed"


class TwoInputs(nn.Module):
    """(ids, mask) -> (B, 5), a mean over the positions that the mask keeps."""

    ignores = False

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(11, 8), nn.Linear(8, 5)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.table(ids)
        if self.ignores:
            return self.head(x.mean(1))
        kept = Tensor(mask.data.astype(x.dtype))
        return self.head((x * kept.unsqueeze(-1)).sum(1) / kept.sum(1, keepdim=True))


class IgnoresMask(TwoInputs):
    ignores = True


def padded() -> Arrays:
    rng = np.random.default_rng(3)
    ids = rng.integers(1, 11, (48, 6))
    mask = np.arange(6) < rng.integers(2, 5, (48, 1))  # the last two are never kept
    return Arrays(np.where(mask, ids, 0), mask, rng.integers(0, 5, 48))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mask_without_effect(bench: Bench, seed: int) -> None:
    bench.data("padded", padded)
    found = only(bench.run("graph", IgnoresMask, data="padded", seed=seed))
    assert found.code == "idle_input"
    assert "input 1 of the model (4x6, a mask) has no effect" in found.message
    assert bench.run("graph", TwoInputs, data="padded", seed=seed).outcome == "passed"


# --- saturation, positions, data ----------------------------------------------------------------


class Tanh(Net):
    size = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.second((self.first(x) * self.size).tanh())


class Saturated(Tanh):
    size = 300.0


class ReluOut(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


@pytest.mark.parametrize("seed", SEEDS)
def test_saturated_units_and_clipped_logits(bench: Bench, seed: int) -> None:
    found = only(bench.run("graph", Saturated, seed=seed))
    assert found.code == "saturated_units"
    assert "self.size).tanh()" in open_line(found.where)
    assert bench.run("graph", Saturated, seed=seed, max_dead=1.0).outcome == "passed"
    assert bench.run("graph", Tanh, seed=seed).outcome == "passed"
    assert "clipped_logits" in codes(bench.run("init", ReluOut, seed=seed))
    assert bench.run("init", Net, seed=seed).outcome == "passed"


def open_line(where: str | None) -> str:
    file, _, line = str(where).rpartition(":")
    with open(file, encoding="utf-8") as text:
        return text.read().splitlines()[int(line) - 1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kept", "left"), [(slice(0, 1), 6), (slice(0, -1), 1), (slice(None), 0)])
def test_positions_left_out_of_the_loss(bench: Bench, kept: slice, left: int, seed: int) -> None:
    def step(model: Any, batch: Any, loss: Any) -> Tensor:
        return loss(model(batch[0])[:, kept], batch[1][:, kept])

    result = bench.run(
        "alignment", Table, data="texts", loss="sequence_cross_entropy", step=step, seed=seed
    )
    if not left:
        assert result.outcome == "passed"
        return
    found = only(result)
    assert found.code == "positions_left_out"
    assert f"{left} of 7 positions never count" in found.message


def test_a_shift_in_the_step_leaves_out_only_the_last(bench: Bench) -> None:
    def same() -> Arrays:
        ids = texts().arrays[0]
        return Arrays(ids, ids)

    def step(model: Any, batch: Any, loss: Any) -> Tensor:
        return loss(model(batch[0])[:, :-1], batch[1][:, 1:])

    bench.data("same", same)
    keys = {"data": "same", "loss": "sequence_cross_entropy", "step": step}
    assert bench.run("alignment", Table, **keys).outcome == "passed"


def table(kind: str) -> Arrays:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((64, 10)).astype("f4")
    y = np.sort(rng.integers(0, 4, 64)) if kind == "sorted" else rng.integers(0, 4, 64)
    if kind == "constant":
        x[:, :9] = 0.5
    elif kind == "one constant":
        x[:, 3] = 0.5
    elif kind == "pixels":
        x = (x * 60 + 127).astype("f4")
    elif kind == "far":
        x = (x + 1e4).astype("f4")
    elif kind == "copies":
        x[32:], y[32:] = x[:32], y[:32]
    return Arrays(x, y)


@pytest.mark.parametrize(
    ("kind", "code", "note"),
    [
        ("right", None, ""),
        ("constant", "constant_features", ""),
        ("one constant", None, "1 feature of 10 of input 0 is the same in all 64 samples: 3"),
        ("pixels", None, "input 0 is not normalised: its features have a mean of 12"),
        ("far", "unnormalised", ""),
        ("copies", None, "32 of 64 samples are copies of others"),
        ("sorted", "sorted_classes", ""),
    ],
)
def test_statistics_of_the_data(bench: Bench, kind: str, code: str | None, note: str) -> None:
    bench.data("table", lambda: table(kind))
    for seed in SEEDS:
        result = bench.run("loader", Net, data="table", shuffle=kind != "sorted", seed=seed)
        assert codes(result) == ([code] if code else [])
        assert any(note in said for said in result.notes) if note else not result.notes
        free = {"data": "table", "shuffle": kind != "sorted", "statistics": False, "seed": seed}
        assert bench.run("loader", Net, **free).outcome == "passed"


# --- told right ---------------------------------------------------------------------------------


class HiddenCut(Net):
    """Cut off behind a layer that starts at zero: at first nothing depends on it."""

    cut = True

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(32, 32)
        self.inner.weight._data = np.zeros(self.inner.weight.shape, np.float32)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        h = Tensor(h.data.copy()) if self.cut else h
        return self.second(self.inner(h))


class HiddenWhole(HiddenCut):
    cut = False


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_behind_a_layer_that_starts_at_zero(bench: Bench, seed: int) -> None:
    found = bench.run("graph", HiddenCut, seed=seed)
    assert set(codes(found)) & {"cut", "disconnected"}
    assert "first.weight" in found.findings[0].data["parameters"]
    assert bench.run("graph", HiddenWhole, seed=seed).outcome == "passed"


def test_a_rate_of_zero_is_read_and_said(bench: Bench) -> None:
    found = bench.run("updates", Net, optimizer={"name": "sgd", "lr": 0.0})
    assert any("the learning rate is 0" in (f.advice or "") for f in found.findings)


def test_no_function_of_numpy_is_called_a_tensor_operation() -> None:
    from gradcheck.checks.graph.advice import rewrite

    assert rewrite("y = Tensor(np.sign(h.data))") is None
    assert rewrite("y = Tensor(np.exp(h.data))") == "h.exp()"
