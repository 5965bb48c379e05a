"""`surrogate:` in PyTorch: Functions whose backward is meant to be another one's."""

from __future__ import annotations

from typing import Any

import pytest

import gradcheck
from gradcheck.result import Result

torch = pytest.importorskip("torch")
nn = torch.nn


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, slope: float) -> Any:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g / (1 + ctx.slope * x.abs()) ** 2, None


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return -0.5 * g


class Rounded(torch.autograd.Function):
    """The newer style, with a context that is set up apart."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.round()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


class WrongTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (1 - 0.9 * y * y)


reverse = Reverse.apply  # a program often keeps `apply` under a name of its own


def smooth(x: Any, slope: float = 5.0) -> Any:
    return x / (1 + slope * x.abs())


class Net(nn.Module):
    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.wrong = nn.Linear(3, 4), nn.Linear(4, 2), wrong

    def forward(self, x: Any) -> Any:
        h = self.a(x)
        h = Spike.apply(h, 5.0) * h + reverse(h).tanh() + Rounded.apply(2 * h)
        return self.b(WrongTanh.apply(h) if self.wrong else h.tanh())


MEANT = {"Spike": smooth, "Reverse": {"scale": -0.5}, "Rounded": "identity"}


def run(meant: Any, *, seed: int = 0, wrong: bool = False) -> Result:
    torch.manual_seed(seed)
    net, x = Net(wrong), torch.randn(5, 3)
    return gradcheck.check_gradients(
        net, x, loss=lambda y: y.square().mean(), seed=seed, surrogate=meant
    )


def test_what_is_meant_is_right() -> None:
    for seed in range(3):
        for meant in (MEANT, dict.fromkeys(MEANT, True)):
            result = run(meant, seed=seed)
            assert result.outcome == "passed", result.findings
            assert not any("undecided" in n for n in result.notes), result.notes
    assert "forward" in Spike.__dict__
    assert Spike.forward.__qualname__ == "Spike.forward"


@pytest.mark.parametrize("name", MEANT)
def test_undeclared_it_stays_red(name: str) -> None:
    first = run({n: m for n, m in MEANT.items() if n != name}).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", name)


WRONG = {"Spike": lambda x: smooth(x, 4.9), "Reverse": {"scale": -1}, "Rounded": {"scale": 1}}


@pytest.mark.parametrize("name", WRONG)
def test_another_backward_than_the_declared_one_is_red(name: str) -> None:
    first = run({**MEANT, name: WRONG[name]}).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", name)


def test_a_wrong_backward_elsewhere_stays_red() -> None:
    for meant in (MEANT, dict.fromkeys(MEANT, True)):
        first = run(meant, wrong=True).findings[0]
        assert (first.code, first.op) == ("wrong_gradient", "WrongTanh")


def test_an_op_that_is_such_a_function() -> None:
    x = torch.randn(3, 4)
    assert (
        gradcheck.check_gradients(reverse, x, surrogate={"Reverse": {"scale": -0.5}}).findings == ()
    )
    assert gradcheck.check_gradients(reverse, x, surrogate={"Reverse": {"scale": -1}}).findings

    def spikes(x: Any) -> Any:
        return Spike.apply(x, 5.0)

    assert gradcheck.check_gradients(spikes, x, surrogate=smooth).findings == ()
    assert gradcheck.check_gradients(spikes, x, surrogate="identity").findings
    (note,) = gradcheck.check_gradients(spikes, x, surrogate=True).notes
    assert "only its laws were checked" in note


def test_a_name_that_is_not_met() -> None:
    first = run({**MEANT, "Spikes": True}).findings[0]
    assert (first.code, first.advice) == ("surrogate_not_met", "did you mean Spike?")


def test_a_name_of_a_formula_needs_a_registry() -> None:
    (finding,) = run({"Spike": "relu"}).findings
    assert finding.code == "surrogate_unusable"
    assert "pass the function itself" in finding.message
