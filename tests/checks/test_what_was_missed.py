"""A last target that is made up, a sample never drawn, weights changed behind the optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.checks.test_data_faults import Own
from tests.support.nets import Net, Table, plain_step
from tests.support.results import codes, only
from tests.support.subjects import Arrays, Bench, texts
from tinytorch import Tensor

SEEDS = range(6)


class Short(Own):
    """The loader yields a short last batch as well."""

    def loader(self, batch_size: int, shuffle: bool, seed: int) -> Any:
        return _Short(self, batch_size, seed)


class _Short:
    def __init__(self, data: Any, size: int, seed: int) -> None:
        self.data, self.size, self.rng = data, size, np.random.default_rng(seed)

    def __iter__(self) -> Any:
        x, y = self.data.make(*self.data.arrays, self.rng)
        for i in range(0, len(x), self.size):
            yield x[i : i + self.size], y[i : i + self.size]


def drawn(leave_out: int) -> Any:
    def make(x: Any, y: Any, rng: Any) -> Any:
        p = rng.permutation(len(x) - leave_out)
        return x[p], y[p]

    return make


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample_that_is_never_drawn(bench: Bench, seed: int) -> None:
    for kind in (Own, Short):
        for leave_out, expected in ((1, ["sample_missing"]), (0, [])):
            name = f"{kind.__name__}{leave_out}"
            bench.data(name, lambda kind=kind, n=leave_out: kind(drawn(n)))
            assert codes(bench.run("loader", Net, data=name, seed=seed)) == expected


def test_a_last_batch_left_out_holds_other_samples_each_time(bench: Bench) -> None:
    def odd() -> Own:
        data = Own(drawn(0))
        data.arrays = tuple(a[:61] for a in data.arrays)  # batches of 8: five are left out
        return data

    bench.data("odd", odd)
    for seed in SEEDS:
        assert bench.run("loader", Net, data="odd", seed=seed).outcome == "passed"


def noise(model: Any) -> None:
    for p in model.parameters():
        p._data = p._data + 0.01 * np.random.standard_normal(p.shape).astype(p.dtype)


def reset(model: Any) -> None:
    for p in model.parameters():
        if p.ndim == 1:
            p._data = np.zeros(p.shape, p.dtype)


def clip(model: Any) -> None:
    for p in model.parameters():
        p._data = np.clip(p._data, -0.05, 0.05)


def decay(model: Any) -> None:
    for p in model.parameters():
        p._data = p._data * np.asarray(0.99, p.dtype)


def nothing(model: Any) -> None:
    pass


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("change", "wrong"),
    [(noise, True), (reset, True), (clip, False), (decay, False), (nothing, False)],
)
def test_weights_changed_after_the_step(bench: Bench, change: Any, wrong: bool, seed: int) -> None:
    def train(model: Any, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        optimizer.zero_grad()
        value = loss(model(batch[0]), batch[1])
        value.backward()
        optimizer.step()
        change(model)
        return value

    found = codes(bench.run("updates", Net, step=plain_step, train=train, seed=seed))
    assert ("changed_outside_step" in found) == wrong
    if wrong:
        free = bench.run("updates", Net, step=plain_step, train=train, seed=seed, outside_step=True)
        assert "changed_outside_step" not in codes(free)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["wraps", "constant", "right"])
def test_target_of_the_last_position(bench: Bench, kind: str, seed: int) -> None:
    def made() -> Arrays:
        x, y = texts().arrays
        y = y.copy()
        if kind == "wraps":
            y[:, -1] = x[:, 0]
        elif kind == "constant":
            y[:, -1] = 1
        return Arrays(x, y)

    bench.data(kind, made)
    result = bench.run(
        "alignment", Table, data=kind, loss="sequence_cross_entropy", batch=32, seed=seed
    )
    if kind == "right":
        assert result.outcome == "passed"
    else:
        assert only(result).code == "last_target"
