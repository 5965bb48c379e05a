"""`surrogate:` and `approximate:`: what a backward is meant to be, with the rest verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck.result import Result
from tests.support.numerics import check_model, check_op
from tinytorch import Op, Tensor, nn
from tinytorch.nn import functional as F

HERE = Path(__file__).name


def sign_ste(x):
    return np.sign(x), lambda g: g


def clipped_sign(x):
    return np.sign(x), lambda g: g * (np.abs(x) < 1)


def reverse(x):
    return x.copy(), lambda g: -0.5 * g


def spike(x):
    return (x > 0).astype(x.dtype), lambda g: g / (1 + 5 * np.abs(x)) ** 2


def mixed(x):
    """A backward that is no elementwise one: a straight-through sort."""
    return np.sort(x, -1), lambda g: np.flip(g, -1)


def wrong_tanh(x):
    y = np.tanh(x)
    return y, lambda g: g * (1 - 0.9 * y * y)


OPS = {f.__name__: Op(f, f.__name__) for f in (sign_ste, clipped_sign, reverse, spike, mixed)}
WRONG_TANH = Op(wrong_tanh, "wrong_tanh")


def hard(x: Tensor) -> Tensor:
    return F.relu(x + 1) - F.relu(x - 1)


def smooth(x: Tensor, slope: float = 1.0) -> Tensor:
    return x / (1 + slope * x.abs())


MEANT: dict[str, tuple[str, Any]] = {
    "straight through": ("sign_ste", "identity"),
    "clipped straight through": ("clipped_sign", hard),
    "reversal": ("reverse", {"scale": -0.5}),
    "spike": ("spike", {"formula": smooth, "args": {"slope": 5.0}}),
    "elementwise as it is": ("spike", True),
    "any other as it is": ("mixed", True),
}
WRONG = {
    "another formula": ("sign_ste", smooth),
    "another scale": ("reverse", {"scale": -1}),
    "another slope": ("spike", {"formula": smooth, "args": {"slope": 4.9}}),
}


def run(op: str, *, seed: int = 0, wrong: bool = False, **options: Any) -> Result:
    """A model with the op in the middle, a path around it, and one more op of our own."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def step(net: Net, batch: Any, loss: Any) -> Tensor:
        h = net.a(Tensor(np.random.default_rng(1).standard_normal((5, 3))))
        h = OPS[op](net.b(h)) * h + OPS[op](h)
        return (net.c(WRONG_TANH(h) if wrong else h.tanh()) ** 2).mean()

    return check_model(Net, step, seed=seed, **options)


@pytest.mark.parametrize("name", MEANT)
def test_the_backward_that_is_meant_is_right(name: str) -> None:
    op, meant = MEANT[name]
    for seed in range(3):
        result = run(op, seed=seed, surrogate={op: meant})
        assert result.outcome == "passed", result.findings
        assert any(n.startswith(f"{op}: its backward ") for n in result.notes)
        assert not any("undecided" in n for n in result.notes), result.notes
        assert result.measurements["replayed"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 23))
@pytest.mark.parametrize("name", MEANT)
def test_the_backward_that_is_meant_is_right_with_every_seed(name: str, seed: int) -> None:
    op, meant = MEANT[name]
    assert run(op, seed=seed, surrogate={op: meant}).outcome == "passed"


@pytest.mark.parametrize("name", MEANT)
def test_undeclared_it_stays_red(name: str) -> None:
    op, _ = MEANT[name]
    first = run(op).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", op)


@pytest.mark.parametrize("name", WRONG)
def test_another_backward_than_the_declared_one_is_red(name: str) -> None:
    op, meant = WRONG[name]
    first = run(op, surrogate={op: meant}).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", op)
    assert any(line.startswith("compared with ") for line in first.lines)


@pytest.mark.parametrize("name", MEANT)
def test_a_wrong_op_elsewhere_stays_red(name: str) -> None:
    op, meant = MEANT[name]
    first = run(op, wrong=True, surrogate={op: meant}).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", "wrong_tanh")
    assert first.where is not None
    assert HERE in first.where


def test_a_detach_elsewhere_stays_red() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def step(net: Net, batch: Any, loss: Any) -> Tensor:
        h = net.a(Tensor(np.random.default_rng(1).standard_normal((5, 3))))
        return (net.b(OPS["sign_ste"](h) + h.detach()) ** 2).mean()

    first = check_model(Net, step, surrogate={"sign_ste": "identity"}).findings[0]
    assert first.code == "wrong_gradient"
    assert "stop: [" in (first.advice or "")


def test_an_op_case_means_its_own_op() -> None:
    for seed in range(3):
        assert check_op(sign_ste, {"x": (3, 4)}, seed=seed, surrogate="identity").findings == ()
        result = check_op(spike, {"x": (3, 4)}, seed=seed, surrogate=True)
        assert result.findings == ()
        assert any("only its laws were checked" in note for note in result.notes)
    assert check_op(reverse, {"x": (3, 4)}, surrogate={"reverse": {"scale": -1}}).findings


def test_the_laws_bind_a_backward_that_is_taken_as_it_is() -> None:
    def clips(x):
        return np.sign(x), lambda g: np.clip(g, -1, 1)

    (first, *_) = check_op(clips, {"x": (3, 4)}, surrogate=True).findings
    assert first.code == "not_linear"


def test_by_place() -> None:
    line = next(i for i, row in enumerate(_rows(), 1) if "h = OPS[op](net.b(h))" in row)
    assert run("sign_ste", surrogate={f"{HERE}:{line}": "identity"}).outcome == "passed"
    first, *_ = run("sign_ste", surrogate={f"{HERE}:{line + 1}": "identity"}).findings
    assert first.code == "surrogate_not_met"
    assert f"{HERE}:{line}?" in (first.advice or "")


def _rows() -> list[str]:
    return Path(__file__).read_text("utf-8").splitlines()


def test_a_surrogate_that_is_never_met_is_a_finding() -> None:
    first, *_ = run("sign_ste", surrogate={"sign_st": "identity"}).findings
    assert first.code == "surrogate_not_met"
    assert first.advice == "did you mean sign_ste?"


UNUSABLE: dict[str, Callable[[Tensor], Tensor]] = {
    "of shape [], ": lambda x: x.sum(),
    "cannot be applied to its inputs: ": lambda x: x @ x,
}


@pytest.mark.parametrize("said", UNUSABLE)
def test_a_formula_that_does_not_fit_is_a_finding(said: str) -> None:
    (finding,) = run("sign_ste", surrogate={"sign_ste": UNUSABLE[said]}).findings
    assert finding.code == "surrogate_unusable"
    assert said in finding.message


# --- approximate --------------------------------------------------------------------------------


def solved(x):
    """A backward that is off by 3e-5, as a solver's is."""
    y = np.tanh(x)
    return y, lambda g: g * (1 - y * y) * (1 + 3e-5 * np.cos(np.arange(x.size).reshape(x.shape)))


SOLVED = Op(solved, "solved")


def approximated(*, seed: int = 0, wrong: bool = False, **options: Any) -> Result:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def step(net: Net, batch: Any, loss: Any) -> Tensor:
        h = SOLVED(net.a(Tensor(np.random.default_rng(1).standard_normal((5, 3)))))
        return (net.b(WRONG_TANH(h) if wrong else h.tanh()) ** 2).mean()

    return check_model(Net, step, seed=seed, **options)


def test_an_error_below_the_declared_one_is_no_finding() -> None:
    for seed in range(3):
        for declared in (1e-4, {"solved": 1e-4}):
            result = approximated(seed=seed, approximate=declared)
            assert result.outcome == "passed", result.findings
            (note,) = [n for n in result.notes if n.startswith("approximate: ")]
            assert "e-05" in note
    assert approximated().findings
    assert approximated(approximate=1e-5).findings
    assert approximated(approximate={"tanh": 1e-4}).findings


def test_a_larger_error_elsewhere_stays_red() -> None:
    first = approximated(wrong=True, approximate=1e-4).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", "wrong_tanh")


def test_what_nothing_needed_is_noted() -> None:
    result = check_op("tanh", {"x": (3, 4)}, approximate=1e-4)
    assert "`approximate` is declared, and no error needed it" in result.notes


def test_an_approximate_op_at_its_derived_inputs() -> None:
    assert check_op(solved, {"x": (3, 4)}, approximate=1e-4).findings == ()
    assert check_op(solved, {"x": (3, 4)}, approximate=1e-6).findings
