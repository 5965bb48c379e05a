"""`stop:`: what is detached on purpose is held, and everything else in the model is verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck.result import Result
from tests.support.numerics import check_model, check_op
from tinytorch import Op, Tensor, nn, no_grad
from tinytorch.nn import functional as F

HERE = "test_stops.py"
SEEDS = range(2)


def line_of(text: str) -> int:
    """The first line of this file that contains `text`, as code."""
    rows = Path(__file__).read_text("utf-8").splitlines()
    return next(i for i, row in enumerate(rows, 1) if text in row and "line_of(" not in row)


def data(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(1).standard_normal(shape))


def wrong_tanh(x):
    y = np.tanh(x)
    return y, lambda g: g * (1 - 0.9 * y * y)


WRONG_TANH = Op(wrong_tanh, "wrong_tanh")


class Net(nn.Module):
    """What every program here is made of. wrong: one op has a wrong pullback."""

    wrong = False

    def __init__(self) -> None:
        super().__init__()
        self.i, self.h, self.o = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.codes = nn.Parameter(np.random.default_rng(5).standard_normal((6, 4)))

    def act(self, x: Tensor) -> Tensor:
        return WRONG_TANH(x) if self.wrong else x.tanh()


def truncated(net: Net, batch: Any, loss: Any) -> Tensor:
    x, h = data(2, 4, 3), Tensor(np.zeros((2, 4)))
    for t in range(4):
        if t == 2:
            h = h.detach()  # truncated here
        h = net.act(net.i(x[:, t]) + net.h(h))
    return (net.o(h) ** 2).mean()


def actor_critic(net: Net, batch: Any, loss: Any) -> Tensor:
    features = net.act(net.i(data(5, 3)))
    value = net.h(features)[:, 0]
    advantage = data(5) - value
    score = F.log_softmax(net.o(features), -1)[:, 0]
    return -(advantage.detach() * score).mean() + (advantage**2).mean()


def siamese(net: Net, batch: Any, loss: Any) -> Tensor:
    def apart(p: Tensor, z: Tensor) -> Tensor:
        target = z.detach()  # the other branch
        return -(p * target).mean()

    one, two = net.act(net.i(data(5, 3))), net.act(net.i(data(5, 3) * 0.5))
    return apart(net.h(one), two) + apart(net.h(two), one)


def quantised(net: Net, batch: Any, loss: Any) -> Tensor:
    z = net.act(net.i(data(5, 3)))
    apart = ((z.data[:, None] - net.codes.data) ** 2).sum(-1)
    q = net.codes[apart.argmin(-1)]
    kept = z + (q - z).detach()  # straight through
    commit = ((z - q.detach()) ** 2).mean() + ((z.detach() - q) ** 2).mean()  # two stops
    return (net.o(kept) ** 2).mean() + 0.25 * commit


def bootstrapped(net: Net, batch: Any, loss: Any) -> Tensor:
    with no_grad():  # the target network
        target = net.o(net.h(net.act(net.i(data(5, 3)))))
    return ((net.o(net.act(net.i(data(5, 3) * 0.5))) - target) ** 2).mean()


def weighted_by_a_number(net: Net, batch: Any, loss: Any) -> Tensor:
    y = net.o(net.act(net.i(data(5, 3))))
    scale = float((y**2).mean())  # a number
    return (y**2).mean() / scale + net.h(net.act(net.i(data(5, 3)))).mean()


PROGRAMS: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "truncated by place": (truncated, ["# truncated here"]),
    "truncated by name": (truncated, ["h"]),
    "actor and critic": (actor_critic, ["advantage"]),
    "siamese by function": (siamese, ["apart"]),
    "siamese by target": (siamese, ["target"]),
    "quantised": (quantised, ["# straight through", "# two stops"]),
    "target network by its with": (bootstrapped, ["# the target network"]),
    "target network by function": (bootstrapped, ["target"]),
    "a number": (weighted_by_a_number, ["scale"]),
}


def run(name: str, net: type[Net] = Net, *, seed: int = 0, declare: bool = True) -> Result:
    step, stops = PROGRAMS[name]
    stop = [f"{HERE}:{line_of(s)}" if s.startswith("#") else s for s in stops]
    return check_model(net, step, seed=seed, stop=stop if declare else [])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_declared_stop_is_right(name: str) -> None:
    for seed in SEEDS:
        result = run(name, seed=seed)
        assert result.outcome == "passed", result.findings
        assert any(n.startswith("held, as `stop` declares: ") for n in result.notes)
        assert not any("undecided" in n for n in result.notes), result.notes


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("seed", range(2, 22))
def test_a_declared_stop_is_right_with_every_seed(name: str, seed: int) -> None:
    result = run(name, seed=seed)
    assert result.outcome == "passed", result.findings
    assert not any("undecided" in n for n in result.notes), result.notes


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_the_declaration_it_stays_red_and_names_the_line(name: str) -> None:
    first = run(name, declare=False).findings[0]
    assert first.code in ("wrong_gradient", "missing_gradient")
    held = [n.rpartition("declares: ")[2].split()[0] for n in run(name).notes]
    assert first.where in held
    assert f"stop: [{first.data['stop'][0]}" in (first.advice or "")
    assert not any("added up or routed" in line for line in first.lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_op_elsewhere_stays_red(name: str) -> None:
    class Wrong(Net):
        wrong = True

    for seed in SEEDS[:1]:
        first = run(name, Wrong, seed=seed).findings[0]
        assert (first.code, first.op) == ("wrong_gradient", "wrong_tanh")


def test_another_detach_in_the_same_model_stays_red_at_its_own_line() -> None:
    def two(net: Net, batch: Any, loss: Any) -> Tensor:
        x, h = data(2, 4, 3), Tensor(np.zeros((2, 4)))
        for t in range(4):
            if t == 2:
                h = h.detach()
            fresh = net.i(x[:, t])
            if t == 3:
                fresh = fresh.detach()  # by mistake
            h = net.act(fresh + net.h(h))
        return (net.o(h) ** 2).mean()

    for seed in SEEDS:
        finding = check_model(Net, two, seed=seed, stop=["h"]).findings[0]
        assert finding.where is not None
        assert finding.where.endswith(f"{HERE}:{line_of('# by mistake')}")
        assert len(finding.data["stop"]) == 1


def test_a_stop_that_is_never_met_is_a_finding() -> None:
    for stop, near in (
        ("advantag", "did you mean advantage?"),
        (f"{HERE}:{line_of('advantage = data(5)')}", f"{HERE}:{line_of('-(advantage.detach()')}?"),
        ("nothing_like_it", "correct or remove it"),
    ):
        result = check_model(Net, actor_critic, stop=["advantage", stop])
        (finding,) = result.findings
        assert finding.code == "stop_not_met"
        assert near in (finding.advice or "")


def test_an_op_program_with_a_stop() -> None:
    def gated(x: Tensor, w: Tensor) -> Tensor:
        return (x.detach() * w).tanh() * x

    for seed in SEEDS:
        assert (
            check_op(program(gated), {"x": (4, 3), "w": (3,)}, seed=seed, stop=["x"]).findings == ()
        )
    first = check_op(program(gated), {"x": (4, 3), "w": (3,)}).findings[0]
    assert first.where is not None
    assert first.where.endswith(f"{HERE}:{line_of('return (x.detach() * w)')}")


def program(fn: Callable[..., Tensor]) -> Any:
    """A function of Tensors as the op of a case: `check_op` makes an op only of array functions."""

    class Program(Op):
        def __init__(self) -> None:
            self.__wrapped__ = fn
            self.__name__ = fn.__name__

        def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
            return fn(*args, **kwargs)

    return Program()
