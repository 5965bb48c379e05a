"""`stop:` in PyTorch: what is detached on purpose is held, and the rest is verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gradcheck
from gradcheck.result import Result

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
HERE = Path(__file__).name


def line_of(text: str) -> int:
    """The first line of this file that contains `text`, as code."""
    rows = Path(__file__).read_text("utf-8").splitlines()
    return next(i for i, row in enumerate(rows, 1) if text in row and "line_of(" not in row)


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


class Net(nn.Module):
    """rule: the program that its forward is. wrong: one op has a wrong backward."""

    def __init__(self, rule: Callable[..., Any], wrong: bool = False) -> None:
        super().__init__()
        self.i, self.h, self.o = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.codes = nn.Parameter(torch.randn(6, 4))
        self.rule, self.wrong = rule, wrong

    def act(self, x: Any) -> Any:
        return WrongTanh.apply(x) if self.wrong else x.tanh()

    def forward(self, x: Any) -> Any:
        return self.rule(self, x)


def truncated(net: Any, x: Any) -> Any:
    h = x.new_zeros(4)
    for t in range(4):
        if t == 2:
            h = h.detach()
        h = net.act(net.i(x[t]) + net.h(h))
    return net.o(h).square().mean()


def quantised(net: Any, x: Any) -> Any:
    z = net.act(net.i(x))
    q = net.codes[torch.cdist(z, net.codes).argmin(-1)]
    kept = z + (q - z).detach()  # straight through
    commit = F.mse_loss(z, q.detach()) + F.mse_loss(z.detach(), q)  # two stops
    return net.o(kept).square().mean() + 0.25 * commit


def bootstrapped(net: Any, x: Any) -> Any:
    with torch.no_grad():  # the target network
        target = net.o(net.h(net.act(net.i(x))))
    return F.mse_loss(net.o(net.act(net.i(0.5 * x))), target)


@torch.no_grad()
def best(net: Any, x: Any) -> Any:
    return net.o(net.act(net.i(x))).amax(-1)


def q_learning(net: Any, x: Any) -> Any:
    return F.mse_loss(net.o(net.act(net.i(0.5 * x)))[:, 0], 1 + 0.9 * best(net, x))


def by_a_number(net: Any, x: Any) -> Any:
    y = net.o(net.act(net.i(x)))
    scale = y.square().mean().item()
    return y.square().mean() / scale + net.h(net.act(net.i(x))).mean()


PROGRAMS: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "truncated": (truncated, ["h"]),
    "quantised": (quantised, ["# straight through", "# two stops"]),
    "target network": (bootstrapped, ["# the target network"]),
    "a function without a graph": (q_learning, ["best"]),
    "a number": (by_a_number, ["scale"]),
}


def run(name: str, *, seed: int = 0, declare: bool = True, wrong: bool = False) -> Result:
    rule, stops = PROGRAMS[name]
    stop = [f"{HERE}:{line_of(s)}" if s.startswith("#") else s for s in stops]
    torch.manual_seed(seed)
    net, x = Net(rule, wrong), torch.randn(4, 3)
    options = {"stop": stop} if declare else {}
    return gradcheck.check_gradients(net, x, loss=lambda y: y, seed=seed, **options)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_declared_stop_is_right(name: str) -> None:
    for seed in range(2):
        result = run(name, seed=seed)
        assert result.outcome == "passed", result.findings
        assert any(n.startswith("held, as `stop` declares: ") for n in result.notes)


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_the_declaration_it_stays_red_and_names_the_line(name: str) -> None:
    first = run(name, declare=False).findings[0]
    held = [n.rpartition("declares: ")[2].split()[0] for n in run(name).notes if "held" in n]
    assert first.where in held
    assert f"stop: [{first.data['stop'][0]}" in (first.advice or "")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_backward_elsewhere_stays_red(name: str) -> None:
    first = run(name, wrong=True).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", "WrongTanh")


def test_an_op_with_a_stop() -> None:
    def gated(x: Any, w: Any) -> Any:
        return (x.detach() * w).tanh() * x

    x, w = torch.randn(4, 3), torch.randn(3)
    assert gradcheck.check_gradients(gated, x, w, stop=["x"]).outcome == "passed"
    first = gradcheck.check_gradients(gated, x, w).findings[0]
    assert (first.code, first.op) == ("wrong_gradient", "gated")
    assert any("it is detached at" in line for line in first.lines)


def test_the_forward_of_a_function_of_ones_own_has_no_stops() -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x.detach()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g

    result = gradcheck.check_gradients(Doubled.apply, torch.randn(3), stop=["forward"])
    (finding,) = result.findings
    assert finding.code == "stop_not_met"
