"""What functions and models take and return besides one tensor after the other."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gradcheck
from tests.support.results import codes, only
from tinytorch import Tensor, nn, op
from tinytorch.nn import functional as F

X = np.random.default_rng(0).standard_normal((3, 4))
W = np.random.default_rng(1).standard_normal((4, 2))
Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Config:
    weight: Any
    power: int = 2


@op
def wrong_square(x):
    return x * x, lambda g: 2.02 * g * x


GIVEN: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "dict": (lambda d: d["x"] @ d["deep"]["w"], ({"x": X, "deep": {"w": W}},), {}),
    "list": (lambda xs: F.tanh(xs[0]) + xs[1], ([X, Tensor(2 * X)],), {}),
    "tuple": (lambda pair, w: (pair[0] * pair[1]) @ w, ((X, X + 1), W), {}),
    "namedtuple": (lambda pair: pair.left * pair.right, (Pair(X, X + 1),), {}),
    "dataclass": (lambda x, c: x**c.power @ c.weight, (X, Config(W)), {}),
    "None": (lambda x, mask, w: (x if mask is None else x * mask) @ w, (X, None, W), {}),
    "keywords": (
        lambda x, *, mask=None, how="none", scale=1.0: x * mask * scale if how == "fill" else None,
        (X,),
        {"mask": X > 0, "how": "fill", "scale": 3.0},
    ),
    "keyword tensors": (lambda **given: given["a"] @ given["b"], (), {"a": X, "b": Tensor(W)}),
    "int32": (lambda table, ids: table[ids], (X, np.array([2, 0, 2], np.int32)), {}),
    "minus infinity": (
        lambda x, mask: F.softmax(x + mask, -1),
        (X, Tensor(np.where(X > 0.5, -np.inf, 0.0))),
        {},
    ),
}
RETURNED: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda x: (x * 2, F.tanh(x)),
    "list with None": lambda x: [F.tanh(x), None],
    "dict": lambda x: {"loss": (x * x).mean(), "logits": x, "ids": Tensor(np.arange(3))},
    "dataclass": lambda x: Config(F.tanh(x)),
    "one beside a detached one": lambda x: (x * x, x.detach()),
}


@pytest.mark.parametrize("name", GIVEN)
def test_arguments_of_all_kinds(name: str) -> None:
    fn, inputs, kwargs = GIVEN[name]
    for seed in range(3):
        result = gradcheck.check_gradients(fn, *inputs, kwargs=kwargs, seed=seed)
        assert result.outcome == "passed", str(result)
        assert any("holds -inf" in note for note in result.notes) == (name == "minus infinity")


@pytest.mark.parametrize("name", RETURNED)
def test_results_of_all_kinds(name: str) -> None:
    for seed in range(3):
        result = gradcheck.check_gradients(RETURNED[name], X, seed=seed)
        assert result.outcome == "passed", str(result)


def test_a_fault_is_named_by_the_path_of_its_input() -> None:
    found = only(gradcheck.check_gradients(lambda d: wrong_square(d["x"][1]), {"x": (W, X)}))
    assert (found.code, found.parameter) == ("wrong_gradient", "input0.x.1")
    found = only(gradcheck.check_gradients(lambda *, x: (x, wrong_square(x)), kwargs={"x": X}))
    assert (found.code, found.parameter) == ("wrong_gradient", "x")


class Net(nn.Module):
    def __init__(self, square: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer, self.square = nn.Linear(4, 3), square

    def forward(self, inputs: Any, *, mask: Any = None) -> Any:
        h = self.square(self.layer(inputs["x"]))
        return {"logits": h if mask is None else h * mask, "hidden": (h, None)}


def test_a_model_on_a_dict_with_keywords() -> None:
    for mask in (None, np.array([1.0, 0.0, 1.0])):
        right = gradcheck.check_gradients(Net(lambda x: x * x), {"x": X}, kwargs={"mask": mask})
        assert right.outcome == "passed", str(right)
        wrong = gradcheck.check_gradients(Net(wrong_square), {"x": X}, kwargs={"mask": mask})
        assert codes(wrong) == ["wrong_gradient"]
    right = gradcheck.check_gradients(
        Net(F.tanh), {"x": X}, loss=lambda out: (out["logits"] ** 2).mean()
    )
    assert right.outcome == "passed", str(right)


def test_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x, w = torch.tensor(X), torch.tensor(W)
    ids = torch.tensor([1, 0, 2], dtype=torch.int32)

    def several(xs: list[Any], *, w: Any, mask: Any = None, ids: Any) -> Any:
        h = torch.cat(xs, 0) @ w
        return {"logits": h, "ids": ids, "picked": h[ids.long()].to(torch.complex128) * 1j}

    for seed in range(3):
        result = gradcheck.check_gradients(
            several, [x, x + 1], kwargs={"w": w, "mask": None, "ids": ids}, seed=seed
        )
        assert result.outcome == "passed", str(result)
    mean = gradcheck.check_gradients(lambda x: x.mean(0).to(torch.bfloat16), x.float())
    assert [f.code for f in mean.findings] in ([], ["undecided"]), str(mean)  # it can be read
