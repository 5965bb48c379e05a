"""The assertions: what each must catch and let pass, and how its message reads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gradcheck
from tinytorch import Tensor, nn, op, optim
from tinytorch.nn import functional as F

RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 4))
Y = np.arange(16) % 3


@op
def half_square(x):
    return x * x, lambda g: g * x


class Net(nn.Module):
    def __init__(self, cut: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.cut = nn.Linear(4, 16), nn.Linear(16, 3), cut

    def forward(self, x):
        h = F.relu(self.first(x))
        if self.cut:
            h = Tensor(h.data)
        return self.second(h)


def adam(model, lr=1e-2):
    return optim.Adam(model.parameters(), lr=lr)


def test_a_wrong_gradient_raises_with_the_text_and_a_right_one_returns_its_result():
    with pytest.raises(AssertionError) as raised:
        gradcheck.assert_gradients(half_square, X)
    text = str(raised.value)
    assert text.splitlines()[0] == "half_square::gradient  FAILED"
    assert "analytic = 0.5 x numeric everywhere" in text
    assert "half_square is defined at tests/api/test_asserting.py" in text
    result = gradcheck.assert_gradients(lambda x: x * x, X)
    assert result
    assert result.measurements["leaves"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_model_trains_and_is_left_as_it_was(seed):
    model = Net()
    before = {n: p.data.copy() for n, p in model.named_parameters()}
    optimizer = adam(model)
    results = gradcheck.assert_trains(model, (X, Y), F.cross_entropy, optimizer, seed=seed)
    assert list(results) == ["graph", "gradient", "updates", "overfit"]
    assert all(results.values())
    assert all(np.array_equal(p.data, before[n]) for n, p in model.named_parameters())
    assert not optimizer.state
    assert optimizer.param_groups[0]["lr"] == 1e-2


def test_the_usual_rate_of_adam_is_not_accused_on_a_small_model():
    model = Net()
    assert gradcheck.assert_trains(model, (X, Y), F.cross_entropy, adam(model, lr=1e-3))


def without_zero_grad(model, batch, loss, optimizer):
    x, y = batch
    found = loss(model(x), y)
    found.backward()
    optimizer.step()
    return found


def half(model, batch, loss):
    x, y = batch
    return loss(Tensor(model(x).data), y)


WRONG = {
    "a cut": (lambda: Net(cut=True), adam, None, "Net::graph", "the graph is cut at"),
    "a rate": (Net, lambda m: adam(m, 1e-6), None, "Net::overfit", "1e-06 is too low"),
    "half the parameters": (
        Net,
        lambda m: adam(m.first),
        None,
        "Net::updates",
        "does not hold 2 of 4",
    ),
    "no zero_grad": (Net, adam, without_zero_grad, "Net::updates", "optimizer.zero_grad()"),
    "a step that cuts": (Net, adam, half, "Net::graph", "4 of 4 parameters get no gradient"),
    "a factory": (Net, lambda m: lambda p: optim.SGD(p, lr=1e-7), None, "overfit", "too low"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_keeps_a_model_from_training_raises_with_the_text(kind):
    make, optimizer, step, title, said = WRONG[kind]
    model = make()
    with pytest.raises(AssertionError) as raised:
        gradcheck.assert_trains(model, (X, Y), F.cross_entropy, optimizer(model), step)
    text = str(raised.value)
    assert title in text.splitlines()[0]
    assert said in text


def test_what_depends_on_a_failed_check_is_not_judged():
    model = Net(cut=True)
    with pytest.raises(AssertionError) as raised:
        gradcheck.assert_trains(model, (X, Y), F.cross_entropy, adam(model))
    last = str(raised.value).splitlines()[-1]
    assert last == ("gradient, updates, overfit: not judged, because graph failed; mend that first")


def test_a_step_may_take_a_dict_and_a_check_may_be_left_out():
    model = Net()
    results = gradcheck.assert_trains(
        model,
        {"x": X, "labels": Y},
        None,
        adam(model),
        lambda model, batch, loss: F.cross_entropy(model(batch["x"]), batch["labels"]),
        gradient=False,
        overfit={"steps": 100},
    )
    assert list(results) == ["graph", "updates", "overfit"]


def test_groups_of_an_optimizer_keep_their_rates():
    model = Net()
    groups = [
        {"params": list(model.first.parameters()), "lr": 1e-2},
        {"params": list(model.second.parameters()), "lr": 3e-2},
    ]
    used = optim.SGD(groups, lr=1e-2, momentum=0.9)
    assert gradcheck.assert_trains(model, (X, Y), F.cross_entropy, used)


def test_two_implementations_agree_or_do_not():
    assert gradcheck.assert_same_gradients(F.tanh, lambda x: x.tanh(), X)
    with pytest.raises(AssertionError, match="the gradient of input0 differs from the reference"):
        gradcheck.assert_same_gradients(half_square, lambda x: x * x, X)
    with pytest.raises(AssertionError, match="the output differs from the reference"):
        gradcheck.assert_same_gradients(F.tanh, F.relu, X)
    with pytest.raises(AssertionError, match=r"the output has shape \(\), that of the reference"):
        gradcheck.assert_same_gradients(lambda x: x.sum(), F.tanh, X)
    assert gradcheck.assert_same_gradients(Net(), Net(), X)
    renamed = {"0.weight": "weight", "0.bias": "bias"}
    plain = nn.Linear(4, 3)
    assert gradcheck.assert_same_gradients(nn.Sequential(nn.Linear(4, 3)), plain, X, rename=renamed)


def test_models_whose_parameters_do_not_match_are_told_apart():
    with pytest.raises(AssertionError, match=r"first\.weight has no counterpart"):
        gradcheck.assert_same_gradients(Net(), nn.Linear(4, 3), X)


MODEL = Net()
MISTAKES = {
    "a class": ((Net, (X, Y), F.cross_entropy, adam(MODEL)), {}, "Net is a class"),
    "a function": ((abs, (X, Y), F.cross_entropy, adam(MODEL)), {}, "abs has no parameters"),
    "no loss": ((MODEL, (X, Y), None, adam(MODEL)), {}, "it needs a loss"),
    "a loss by name": ((MODEL, (X, Y), "mse", adam(MODEL)), {}, "loss must be a function"),
    "an optimizer by name": ((MODEL, (X, Y), F.cross_entropy, "adam"), {}, "an optimizer on the"),
    "no target": ((MODEL, X, F.cross_entropy, adam(MODEL)), {}, "such as (x, y)"),
    "text": ((MODEL, (X, "y"), F.cross_entropy, adam(MODEL)), {}, "batch[1] is a str"),
    "a dict": ((MODEL, {"x": X}, F.cross_entropy, adam(MODEL)), {}, "needs a step that takes it"),
    "a step": ((MODEL, (X, Y), None, adam(MODEL), abs), {}, "(model, batch, loss)"),
    "a check": ((MODEL, (X, Y), F.cross_entropy, adam(MODEL)), {"overfitt": 1}, "'overfit'?"),
    "a number": ((MODEL, (X, Y), F.cross_entropy, adam(MODEL)), {"overfit": 1}, "a dict of its"),
    "an option": (
        (MODEL, (X, Y), F.cross_entropy, adam(MODEL)),
        {"overfit": {"step": 1}},
        "did you mean 'steps'?",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_an_argument_that_makes_no_sense_gets_a_sentence(kind):
    given, options, said = MISTAKES[kind]
    with pytest.raises((TypeError, ValueError)) as raised:
        gradcheck.assert_trains(*given, **options)
    assert str(raised.value).startswith("assert_trains")
    assert said in str(raised.value)


def test_what_the_model_raises_is_named_with_its_line():
    with pytest.raises(AssertionError) as raised:
        gradcheck.assert_trains(MODEL, (X[:, :3], Y), F.cross_entropy, adam(MODEL))
    assert "Net raised ShapeError" in str(raised.value)
    assert "tests/api/test_asserting.py" in str(raised.value)


def test_inputs_in_a_tuple_and_a_function_class_get_a_sentence():
    with pytest.raises(TypeError, match=r"one by one: assert_gradients\(half_square, x\)"):
        gradcheck.assert_gradients(half_square, (Tensor(X),))

    class Twice:
        apply = staticmethod(lambda x: x * 2)
        backward = staticmethod(lambda ctx, g: g * 2)

    with pytest.raises(TypeError, match=r"pass what a forward calls: Twice\.apply"):
        gradcheck.check_gradients(Twice, X)


def test_it_works_where_asserts_are_removed():
    code = (
        "import numpy as np, gradcheck\n"
        "from tinytorch import op\n"
        "double = op(lambda x: (x * 2, lambda g: g))\n"
        "try:\n"
        "    gradcheck.assert_gradients(double, np.ones(3))\n"
        "except AssertionError as error:\n"
        "    print('RAISED', 'analytic = 0.5 x numeric' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True)
    assert done.stdout == "RAISED True\n", done.stderr


# --- in PyTorch ---------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def torch_net(torch):
    return torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))


def test_a_function_of_pytorch_is_named_with_the_line_of_its_backward(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    with pytest.raises(AssertionError) as raised:
        gradcheck.assert_gradients(Square.apply, torch.tensor(X))
    assert "the pullback of op Square is wrong for x[" in str(raised.value)
    assert "def backward(ctx, g):" in str(raised.value)
    with pytest.raises(TypeError, match=r"Square is a Function; .* Square\.apply"):
        gradcheck.assert_gradients(Square, torch.tensor(X))


@pytest.mark.parametrize("kind", ["AdamW", "SGD", "used", "subclass", "groups"])
def test_optimizers_of_pytorch_are_made_again_on_the_copy(torch, kind):
    torch.manual_seed(0)
    model = torch_net(torch)
    batch = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)

    class Clipped(torch.optim.SGD):
        def __init__(self, params, **options):
            super().__init__(params, **options)
            self.limit = 10.0

        def step(self, closure=None):
            for group in self.param_groups:
                torch.nn.utils.clip_grad_norm_(group["params"], self.limit)
            super().step(closure)

    optimizer = {
        "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2),
        "SGD": lambda p: torch.optim.SGD(p, lr=0.3),
        "used": lambda p: torch.optim.Adam(p, lr=1e-2),
        "subclass": lambda p: Clipped(p, lr=0.3),
        "groups": lambda p: torch.optim.Adam(
            [{"params": list(p)[:2], "lr": 1e-2}, {"params": list(model[2].parameters())}], lr=3e-2
        ),
    }[kind](model.parameters())
    loss = torch.nn.functional.cross_entropy
    if kind == "used":
        loss(model(batch[0]), batch[1]).backward()
        optimizer.step()
    before = [p.detach().clone() for p in model.parameters()]
    assert gradcheck.assert_trains(model, batch, loss, optimizer)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before))


def test_a_rate_in_pytorch_that_is_too_low(torch):
    model = torch_net(torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-7)
    batch = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)
    with pytest.raises(AssertionError, match="the learning rate 1e-07 is too low by about"):
        gradcheck.assert_trains(model, batch, torch.nn.CrossEntropyLoss(), optimizer)
