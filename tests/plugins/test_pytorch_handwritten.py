"""Backwards that a PyTorch user wrote: the Function, its input, entry and lines are named."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.result import Result

torch = pytest.importorskip("torch")
pytorch = pytest.importorskip("gradcheck.plugins.pytorch.handwritten")

Function = torch.autograd.Function


class Swish(Function):
    factor = 1.0

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return g * (s + Swish.factor * x * s * (1 - s))


class Scaled(Function):
    """The newer style, two tensors and a number, two results."""

    wrong = False

    @staticmethod
    def forward(x: Any, weight: Any, power: int) -> Any:
        return x * weight, weight**power

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], inputs[1])
        ctx.power = inputs[2]

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        x, weight = ctx.saved_tensors
        power = ctx.power - 1 if Scaled.wrong else ctx.power
        return g * weight, (g * x).sum(0) + h * power * weight ** (ctx.power - 1), None


class ReluOnCotangent(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.relu()


class InPlace(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_dirty(x)
        return x.mul_(3)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return 3 * g


class Child(Swish):
    """Inherits its forward."""


class SpoilsCotangent(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.mul_(2)


apply_swish = Swish.apply  # as tutorials do


class Net(torch.nn.Module):
    def __init__(self, middle: Any) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.weight = torch.nn.Parameter(torch.rand(4) + 0.5)
        self.middle = middle
        self.last = torch.nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.last(self.middle(self, self.first(x)))


def swish(net: Any, h: Any) -> Any:
    return Swish.apply(h)


def scaled(net: Any, h: Any) -> Any:
    a, b = Scaled.apply(h, net.weight, 3)
    return a + b


def check(middle: Any) -> Result:
    torch.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((5, 3))
    return check_gradients(Net(middle), x, loss=lambda y: y.square().mean())


CORRECT = {
    "by name": swish,
    "kept apply": lambda net, h: apply_swish(h),
    "setup_context": scaled,
    "in place": lambda net, h: InPlace.apply(h.clone()),
    "inherited": lambda net, h: Child.apply(h),
    "twice": lambda net, h: Swish.apply(Swish.apply(h)),
    "checkpoint": lambda net, h: torch.utils.checkpoint.checkpoint(
        Swish.apply, h, use_reentrant=False
    ),
}


@pytest.mark.parametrize("middle", CORRECT.values(), ids=CORRECT)
def test_correct_ones_pass_and_are_checked_entry_by_entry(middle: Any) -> None:
    result = check(middle)
    assert result.findings == ()
    assert result.measurements["entries_verified"] >= 20
    assert any("checked entry by entry" in note for note in result.notes)


def line_of(function: Any, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


@pytest.mark.parametrize("middle", [swish, CORRECT["kept apply"]], ids=["by name", "kept apply"])
def test_a_wrong_backward_is_named_with_both_its_lines(
    middle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Swish, "factor", 1.001)
    finding = check(middle).findings[0]
    assert (finding.code, finding.op) == ("wrong_gradient", "Swish")
    assert finding.message.startswith("the pullback of op Swish is wrong for x[")
    file = "test_pytorch_handwritten.py"
    assert finding.where is not None
    assert finding.where.endswith(f"{file}:{inspect.getsourcelines(middle)[1] + (middle is swish)}")
    assert any("Swish is defined at" in line for line in finding.lines)
    defined = next(line for line in finding.lines if "is defined at" in line)
    assert f"{file}:{line_of(Swish, 'def backward')} " in defined
    assert "it corrupts 2 of 5 tensors: first." in finding.lines[-1]


def test_the_right_one_of_several_inputs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scaled, "wrong", True)
    finding = check(scaled).findings[0]
    assert finding.op == "Scaled"
    assert "is wrong for weight[" in finding.message


@pytest.mark.parametrize(
    ("function", "code"), [(ReluOnCotangent, "not_linear"), (SpoilsCotangent, "mutates")]
)
def test_laws_of_a_pullback(function: Any, code: str) -> None:
    result = check(lambda net, h: function.apply(h))
    assert (result.findings[0].code, result.findings[0].op) == (code, function.__name__)


def test_classes_are_left_as_they_were() -> None:
    before = {c: dict(c.__dict__) for c in (Swish, Scaled, Child)}
    check(scaled)
    check(CORRECT["inherited"])
    assert {c: dict(c.__dict__) for c in before} == before


def test_functions_of_pytorch_itself_are_not_the_users() -> None:
    x = torch.ones(3, requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(torch.sin, x, use_reentrant=True).sum()
    assert pytorch.functions_behind(y) == []
    assert pytorch.handwritten(lambda: y) == []


def test_a_result_without_a_graph_has_none() -> None:
    assert pytorch.handwritten(lambda: torch.ones(2)) == []
    assert pytorch.handwritten(lambda: 3.0) == []


def test_a_wrong_function_inside_an_op_is_named() -> None:
    """The op is checked as a whole; the fault has a nearer place."""

    def outer(x: Any) -> Any:
        return Swish.apply(2 * x).exp()

    before, Swish.factor = Swish.factor, 0.5
    try:
        (finding,) = check_gradients(outer, torch.randn(3, 4)).findings
    finally:
        Swish.factor = before
    assert finding.op == "Swish"
    assert finding.where is not None
    assert "test_pytorch_handwritten.py" in finding.where
