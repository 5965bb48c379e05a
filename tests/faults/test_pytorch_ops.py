"""Ops of PyTorch, which records no op calls, are checked as closely as tinytorch's own."""

from pathlib import Path

import pytest

from gradcheck import hookimpl
from gradcheck.testing import Kit

torch = pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]


def made_of(forward, backward):
    """An op of (x -> result, saved) and (g, saved -> cotangent)."""

    class Written(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            result, ctx.kept = forward(x)
            return result

        @staticmethod
        def backward(ctx, g):
            return backward(g, ctx.kept)

    return lambda x: Written.apply(x)


def largest(x):
    y = x.amax(-1, keepdim=True)
    return y, (x == y).to(x.dtype)


def to_the_first(x):
    """Healthy: one of the tied entries gets everything."""
    y = x.amax(-1, keepdim=True)
    return y, torch.zeros_like(x).scatter(-1, x.argmax(-1, keepdim=True), 1.0)


LAST = {}


def kept_outside(x):
    LAST["x"] = x.detach().clone()
    return x.sin(), None


def spoils(g, kept):
    answer = g * kept
    kept.mul_(2)
    return answer


RIGHT = {
    "double": made_of(lambda x: (2 * x, None), lambda g, _: 2 * g),
    "largest": made_of(to_the_first, lambda g, kept: g * kept),
    "softmax": made_of(
        lambda x: (x.softmax(-1),) * 2, lambda g, y: y * (g - (g * y).sum(-1, keepdim=True))
    ),
    "composed": lambda x: (x.softmax(-1) * x.tanh()).cumsum(0),
}
WRONG = {
    "every_tie": (made_of(largest, lambda g, kept: g * kept), "wrong_gradient"),
    "in_place": (made_of(lambda x: (2 * x, None), lambda g, _: g.mul_(2)), "mutates"),
    "clamped": (made_of(lambda x: (2 * x, None), lambda g, _: 2 * g.clamp(-10, 10)), "not_linear"),
    "single": (
        made_of(lambda x: (x.sin(), x), lambda g, x: (g.float() * x.cos().float()).double()),
        "not_linear",
    ),
    "last_call": (made_of(kept_outside, lambda g, _: g * LAST["x"].cos()), "not_repeatable"),
    "spoilt": (made_of(lambda x: (x.sin(), x.cos()), spoils), "not_repeatable"),
    "buffer": (
        made_of(
            lambda x: (x * x, x),
            lambda g, x: 2 * g * torch.as_strided(x, x.shape, (x.shape[1], 1)),
        ),
        "wrong_gradient",
    ),
    "overflowing": (
        made_of(
            lambda x: (x.sigmoid(), x.exp()), lambda g, e: g * e / (1 + e) ** 2
        ),
        "overflows",
    ),
    "nothing": (made_of(lambda x: (2 * x, None), lambda g, _: None), "missing_gradient"),
}  # fmt: skip


@pytest.fixture(scope="module")
def kit():
    class Ops:
        @hookimpl
        def gradcheck_register(self, register):
            for name, op in RIGHT.items():
                register.op(f"right_{name}", op, framework="pytorch")
            for name, (op, _) in WRONG.items():
                register.op(f"wrong_{name}", op, framework="pytorch")

    made = Kit([ROOT / "plugins"])
    made.register(Ops())
    return made


def check(kit, op):
    text = f"framework: pytorch\nop: {op}\ninputs: {{x: [3, 4]}}"
    return kit.run_case(text)["gradient"]


@pytest.mark.parametrize("name", RIGHT)
def test_right(kit, name):
    result = check(kit, f"right_{name}")
    assert (result.outcome, result.findings) == ("passed", ())


@pytest.mark.parametrize("name", WRONG)
def test_wrong_and_named(kit, name):
    result = check(kit, f"wrong_{name}")
    assert result.findings[0].code == WRONG[name][1], result.findings
    assert result.findings[0].op == f"wrong_{name}"
    assert Path(result.findings[0].where.rpartition(":")[0]).name == Path(__file__).name
