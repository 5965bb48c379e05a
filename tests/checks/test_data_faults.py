"""Data, loaders and generators with a classical fault, and the check that must see each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.nets import Net
from tests.support.results import codes, only
from tests.support.subjects import Arrays, Bench, images
from tinytorch import Tensor


class Own(Arrays):
    """A data set with its own loader."""

    def __init__(self, make: Any) -> None:
        super().__init__(*images().arrays)
        self.make = make

    def loader(self, batch_size: int, shuffle: bool, seed: int) -> Any:
        return _Epochs(self, batch_size, seed, self.make)


class _Epochs:
    def __init__(self, data: Any, size: int, seed: int, make: Any) -> None:
        self.data, self.size, self.rng, self.make = data, size, np.random.default_rng(seed), make

    def __iter__(self) -> Any:
        x, y = self.make(*self.data.arrays, self.rng)
        for i in range(0, len(x) - self.size + 1, self.size):
            yield x[i : i + self.size], y[i : i + self.size]


def together(x: Any, y: Any, rng: Any) -> Any:
    p = rng.permutation(len(x))
    return x[p], y[p]


def apart(x: Any, y: Any, rng: Any) -> Any:
    return x[rng.permutation(len(x))], y[rng.permutation(len(x))]


def with_replacement(x: Any, y: Any, rng: Any) -> Any:
    p = rng.integers(0, len(x), len(x))
    return x[p], y[p]


def half(x: Any, y: Any, rng: Any) -> Any:
    p = rng.permutation(len(x) // 2)
    return x[p], y[p]


def unshuffled(x: Any, y: Any, rng: Any) -> Any:
    return x, y


def same_every_epoch(x: Any, y: Any, rng: Any) -> Any:
    return together(x, y, np.random.default_rng(7))


def unseeded(x: Any, y: Any, rng: Any) -> Any:
    return together(x, y, np.random.default_rng())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (together, []),
        (apart, ["unpaired"]),
        (with_replacement, ["sample_repeated"]),
        (half, ["sample_missing"]),
        (unshuffled, ["not_shuffled"]),
        (same_every_epoch, ["same_order"]),
        (unseeded, ["seed_not_repeated"]),
    ],
)
def test_loader(bench: Bench, make: Any, expected: list[str]) -> None:
    bench.data("own", lambda: Own(make))
    assert codes(bench.run("loader", Net, data="own")) == expected


def test_loader_in_order_when_asked(bench: Bench) -> None:
    assert bench.run("loader", Net, shuffle=False).outcome == "passed"


def test_loader_that_is_used_up(bench: Bench) -> None:
    class Once(Arrays):
        def loader(self, batch_size: int, shuffle: bool, seed: int) -> Any:
            x, y = self.arrays
            return ((x[i : i + 8], y[i : i + 8]) for i in range(0, 64, 8))

    bench.data("once", lambda: Once(*images().arrays))
    assert codes(bench.run("loader", Net, data="once")) == ["no_batch"]


def test_shared_generator(bench: Bench) -> None:
    shared = np.random.default_rng(0)

    class Shared(Net):
        def __init__(self) -> None:
            super().__init__()
            self.first.weight.data[...] = shared.normal(0, 0.1, (32, 8))

    finding = only(bench.run("determinism", Shared))
    assert (finding.code, finding.parameter) == ("depends_on_history", "first.weight")


def test_generator_of_a_layer(bench: Bench) -> None:
    class Noisy(Net):
        def __init__(self) -> None:
            super().__init__()
            self.rng = np.random.default_rng(0)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                x = x * Tensor(self.rng.random(x.shape).astype(x.dtype))
            return super().forward(x)

    assert codes(bench.run("determinism", Noisy)) == ["not_repeatable"]


def test_numpy_global_generator_is_seeded(bench: Bench) -> None:
    class Global(Net):
        def __init__(self) -> None:
            super().__init__()
            self.first.weight.data[...] = np.random.normal(0, 0.1, (32, 8))

    assert bench.run("determinism", Global).outcome == "passed"


def test_loss_that_does_not_fall(bench: Bench) -> None:
    result = bench.run("multibatch", Net, optimizer={"name": "adam", "lr": 1e-7})
    assert codes(result) == ["loss_not_falling"]
    rule = lambda: Arrays(images().arrays[0], (images().arrays[0][:, 0] > 0).astype(int))  # noqa: E731
    bench.data("rule", rule)
    assert bench.run("multibatch", Net, data="rule").outcome == "passed"
    result = bench.run("multibatch", Net, optimizer={"name": "sgd", "lr": 1e30})
    assert codes(result) == ["loss_not_finite"]
