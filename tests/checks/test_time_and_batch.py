"""Causality by perturbation and by gradient, independence of the batch, options of `overfit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.results import codes
from tests.support.subjects import Arrays, Bench
from tests.support.tiny import TinyGPT
from tinytorch import Tensor, nn


def vectors() -> Arrays:
    """(B, 6, 4) -> classes (B, 6)."""
    rng = np.random.default_rng(0)
    return Arrays(rng.standard_normal((24, 6, 4)).astype("f4"), rng.integers(0, 3, (24, 6)))


class Series(nn.Module):
    """(B, T, 4) -> (B, T, 3), looking at what `mixing` (T, T) lets through."""

    def __init__(self, mixing: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.mixing = np.asarray(mixing)

    def forward(self, x: Tensor) -> Tensor:
        return Tensor(self.mixing.astype(x.dtype)) @ self.layer(x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


LOWER = np.tril(np.ones((6, 6)))


@pytest.mark.parametrize(
    ("mixing", "expected"),
    [
        (LOWER, []),
        (np.ones((6, 6)), ["sees_future"]),
        (LOWER + 1e-6 * np.eye(6, k=1), ["sees_future"]),
        (LOWER + 1e-6 * np.eye(6, k=5), ["sees_future"]),
        (np.eye(6), ["sees_no_past"]),
    ],
    ids=["lower", "all", "next", "corner", "diagonal"],
)
def test_vectors(bench: Bench, mixing: Any, expected: list[str]) -> None:
    bench.data("vectors", vectors)
    args: dict[str, Any] = {"data": "vectors", "loss": "sequence_cross_entropy"}
    result = bench.run("causality", lambda: Series(mixing), **args)
    assert codes(result) == expected
    if "sees_no_past" in expected:
        assert bench.run("causality", lambda: Series(mixing), past=False, **args).findings == ()


def test_recurrent_nets_are_causal(bench: Bench) -> None:
    bench.data("vectors", vectors)
    result = bench.run("causality", Recurrent, data="vectors", loss="sequence_cross_entropy")
    assert result.outcome == "passed"


def test_seen_by_the_gradient_alone(bench: Bench) -> None:
    """A forward that hides the future from a perturbation, not from backward."""
    from tinytorch import op

    @op(name="leaky_identity")
    def leaky(x):
        return x.copy(), lambda g: g + np.roll(g, 1, axis=-2)

    class Leaky(Series):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(leaky(x))

    bench.data("vectors", vectors)
    args: dict[str, Any] = {"data": "vectors", "loss": "sequence_cross_entropy"}
    try:
        result = bench.run("causality", lambda: Leaky(LOWER), **args)
    finally:
        from tinytorch import OPS

        OPS.pop("leaky_identity")
    assert codes(result) == ["sees_future"]
    assert "by its gradient" in result.findings[0].message


def test_no_time_axis_is_skipped(bench: Bench) -> None:
    result = bench.run("causality", lambda: nn.Linear(8, 5))
    assert result.outcome == "skipped"
    assert "is not a sequence of ids or of vectors" in (result.reason or "")


@pytest.mark.parametrize("mixes", [False, True])
def test_mean_over_the_batch(bench: Bench, mixes: bool) -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return h - h.mean(0 if mixes else 1, keepdim=True)

    result = bench.run("batch_independence", Centred)
    assert codes(result) == (["depends_on_batch"] if mixes else [])
    if mixes:
        assert result.findings[0].op == "sub"  # the mean (1, 5) belongs to no sample
        assert "test_time_and_batch.py:" in (result.findings[0].where or "")


def test_overfit_reports_its_curve(bench: Bench) -> None:
    result = bench.run(
        "overfit", TinyGPT, data="texts", loss="sequence_cross_entropy", steps=40, below=0.5
    )
    assert result.outcome == "passed"
    curve = result.figures["loss_curve"]
    assert len(curve["loss"]) == len(curve["steps"]) == 41
    assert result.measurements["last_loss"] <= 0.5 < result.measurements["first_loss"]
    assert "lr_sweep" not in result.figures


def test_overfit_without_sweep(bench: Bench) -> None:
    args: dict[str, Any] = {"optimizer": {"name": "adam", "lr": 1e-6}, "below": 0.1, "steps": 5}
    result = bench.run("overfit", lambda: nn.Linear(8, 5), sweep=False, **args)
    assert codes(result) == ["not_overfit"]
    assert "lr_sweep" not in result.figures


def test_overfit_where_the_rate_cannot_be_set(bench: Bench) -> None:
    from tinytorch import optim

    bench.add("optimizer", "fixed", lambda params: optim.SGD(params, lr=1e-6))
    result = bench.run(
        "overfit", lambda: nn.Linear(8, 5), optimizer={"name": "fixed"}, below=0.1, steps=5
    )
    assert codes(result) == ["not_overfit"]


def test_the_sweep_starts_from_the_same_values(bench: Bench) -> None:
    args: dict[str, Any] = {"optimizer": {"name": "adam", "lr": 3e-4}, "below": 0.3}
    result = bench.run("overfit", lambda: nn.Linear(8, 5), steps=100, **args)
    finding = result.findings[0]
    assert finding.code == "lr_too_low"
    sweep = result.figures["lr_sweep"]
    own = int(np.argmin(np.abs(np.log(np.array(sweep["lr"]) / 3e-4))))
    # float32, another order of sums: the same run to a few digits
    assert sweep["final"][own] == pytest.approx(result.measurements["last_loss"], rel=1e-4)
