"""What a Module consists of, its state, casts, containers and how it reads."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn, optim, randn


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Parameter(np.ones(width, np.float32))
        up, down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.mlp = nn.Sequential(up, nn.GELU(), down)
        self.register_buffer("mask", Tensor(np.ones((width, width), bool)))
        self.register_buffer("scratch", Tensor(np.zeros(3)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x)) * self.scale


class Model(nn.Module):
    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.tok = nn.Embedding(11, 4)
        self.blocks = nn.ModuleList([Block(4) for _ in range(2)])
        self.hidden = [nn.Linear(4, 4)]  # a plain list: not found, as in PyTorch
        self.constant = Tensor(np.ones(4))  # no Parameter
        self.head = nn.Linear(4, 11, bias=False)
        if tied:
            self.head.weight = self.tok.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tok(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


MLP = ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"]
BLOCK = ["scale", "norm.weight", "norm.bias", *MLP]
NAMES = ["tok.weight", *(f"blocks.{i}.{n}" for i in (0, 1) for n in BLOCK)]


def test_names() -> None:
    model = Model()
    assert [n for n, _ in model.named_parameters()] == NAMES
    untied = Model(tied=False)
    assert [n for n, _ in untied.named_parameters()] == [*NAMES, "head.weight"]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in model.parameters())
    assert next(n for n, _ in model.named_parameters(prefix="gpt")) == "gpt.tok.weight"
    assert [n for n, _ in model.blocks[0].named_parameters(recurse=False)] == ["scale"]
    everything = [n for n, _ in model.named_parameters(remove_duplicate=False)]
    assert everything == [*NAMES, "head.weight"]
    assert [n for n, _ in model.named_buffers()] == [
        f"blocks.{i}.{n}" for i in (0, 1) for n in ("mask", "scratch")
    ]
    assert [n for n, _ in model.named_children()] == ["tok", "blocks", "head"]
    assert [n for n, _ in model.named_modules()][:4] == ["", "tok", "blocks", "blocks.0"]
    assert model.get_submodule("blocks.1.mlp.0") is model.blocks[1].mlp[0]
    assert model.get_parameter("head.weight") is model.tok.weight
    with pytest.raises(AttributeError, match=r"no Module named 'blocks\.7'"):
        model.get_submodule("blocks.7")


def test_names_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            t = torch.nn
            self.a = t.Sequential(t.Linear(3, 4), t.ReLU(), t.BatchNorm1d(4))
            self.own = t.Parameter(torch.zeros(2))
            self.b = t.ModuleDict({"x": t.LSTM(4, 5, 2, bidirectional=True), "y": self.a[0]})
            self.c = t.ModuleList([t.Conv2d(1, 2, 3, bias=False), t.Embedding(4, 3)])

    class Ours(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4))
            self.own = nn.Parameter(np.zeros(2))
            self.b = nn.ModuleDict({"x": nn.LSTM(4, 5, 2, bidirectional=True), "y": self.a[0]})
            self.c = nn.ModuleList([nn.Conv2d(1, 2, 3, bias=False), nn.Embedding(4, 3)])

    ours, other = Ours(), Theirs()
    for method in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        got = [n for n, _ in getattr(ours, method)()]
        assert got == [n for n, _ in getattr(other, method)()]
    assert list(ours.state_dict()) == list(other.state_dict())
    assert repr(ours.b) == repr(other.b)
    assert repr(ours.c) == repr(other.c)
    ours.load_state_dict({k: v.numpy() for k, v in other.state_dict().items()})
    for name, value in other.state_dict().items():
        assert np.array_equal(ours.state_dict()[name]._data, value.numpy())


def test_parameters_of_a_tied_weight_get_the_sum_of_both_gradients() -> None:
    tied, untied = Model().double(), Model(tied=False).double()
    state = tied.state_dict()
    assert "head.weight" in state  # under each name, as in PyTorch
    untied.load_state_dict(state)
    ids = Tensor(np.array([[1, 2, 2], [0, 10, 5]]))
    for model in (tied, untied):
        (model(ids) ** 2).sum().backward()
    together = untied.tok.weight.grad + untied.head.weight.grad
    assert np.allclose(tied.tok.weight.grad, together, rtol=1e-12)
    assert tied.num_parameters() == untied.num_parameters() - 44


def test_a_parameter_is_not_replaced_by_a_plain_tensor() -> None:
    layer = nn.Linear(2, 3)
    with pytest.raises(TypeError, match=r"Linear\.weight is a Parameter"):
        layer.weight = Tensor(np.zeros((3, 2)))  # type: ignore[assignment]
    layer.weight = nn.Parameter(np.zeros((3, 2)))
    layer.bias = None
    assert [n for n, _ in layer.named_parameters()] == ["weight"]


def test_works_without_super_init() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.zeros(2))
            self.register_buffer("b", Tensor(np.zeros(2)))

    model = Forgot()
    assert list(model.state_dict()) == ["w", "b"]
    assert model.training
    assert Forgot._buffer_names == {}  # nothing leaked into the class
    assert nn.Module._buffer_names == {}


def test_train_and_eval_reach_every_module() -> None:
    model = Model()
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert all(m.training for m in model.train().modules())
    with pytest.raises(TypeError, match="True or False"):
        model.train("yes")  # type: ignore[arg-type]


def test_casts() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    (model(randn(4, 2)) ** 2).sum().backward()
    weight = model[0].weight
    assert model.double() is model
    assert model[0].weight is weight
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert weight.grad.dtype == np.float64
    assert model[1].running_var.dtype == np.float64
    assert model[1].num_batches_tracked.dtype == np.int64
    assert model(randn(4, 2, dtype=np.float64)).dtype == np.float64
    assert model.float()[0].weight.dtype == np.float32
    assert model.to("float64")[0].weight.dtype == np.float64
    with pytest.raises(TypeError, match="floating dtypes only, got int64"):
        model.to(np.int64)
    assert nn.Linear(2, 3, dtype=np.float64).weight.dtype == np.float64


def test_frozen_parameters_get_no_gradient() -> None:
    model = Model(tied=False)
    model.tok.requires_grad_(False)
    ids = Tensor(np.array([[1, 2]]))
    model(ids).sum().backward()
    assert model.tok.weight.grad is None
    assert model.head.weight.grad is not None
    assert model.num_parameters() - model.num_parameters(only_trainable=True) == 44
    model.zero_grad(set_to_none=False)
    assert not model.head.weight.grad.any()
    model.zero_grad()
    assert model.head.weight.grad is None
    model.requires_grad_()
    model(ids).sum().backward()
    assert model.tok.weight.grad is not None


def test_state_dict_round_trip() -> None:
    a, b = Model(), Model()
    weight = b.tok.weight
    ids = Tensor(np.array([[1, 2, 3]]))
    assert not np.array_equal(a(ids)._data, b(ids)._data)
    keys = b.load_state_dict(a.state_dict())
    assert keys.missing_keys == keys.unexpected_keys == []
    assert b.tok.weight is weight is b.head.weight
    assert np.array_equal(a(ids)._data, b(ids)._data)
    a.tok.weight._data += 1  # b has copies
    assert not np.array_equal(a.tok.weight._data, b.tok.weight._data)
    assert "blocks.0.mask" in a.state_dict()
    assert "blocks.0.scratch" not in a.state_dict()
    assert not a.state_dict()["tok.weight"].requires_grad


def test_load_state_dict_says_all_that_is_wrong_and_changes_nothing() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {k: v._data.copy() for k, v in model.state_dict().items()}
    state: dict[str, Any] = {k: Tensor(v + 1) for k, v in before.items()}
    state["1.wieght"] = state.pop("1.weight")
    state["0.bias"] = Tensor(np.zeros(5))
    with pytest.raises(nn.StateDictError) as caught:
        model.load_state_dict(state)
    text = str(caught.value)
    assert "does not fit Sequential; nothing was loaded" in text
    assert "missing '1.weight' (the state_dict has '1.wieght')" in text
    assert "unexpected '1.wieght'" in text
    assert "'0.bias' has shape (5,) in the state_dict, (3,) in the module" in text
    for name, value in model.state_dict().items():
        assert np.array_equal(value._data, before[name])
    with pytest.raises(nn.StateDictError, match="has shape"):
        model.load_state_dict(state, strict=False)
    del state["0.bias"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["0.bias", "1.weight"], ["1.wieght"])
    assert np.array_equal(model[0].weight._data, before["0.weight"] + 1)
    with pytest.raises(TypeError, match="got list"):
        model.load_state_dict([1])  # type: ignore[arg-type]


def test_containers() -> None:
    a, b, c = nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)
    modules = nn.ModuleList([a]).append(b).extend([c])
    assert list(modules) == [a, b, c]
    assert modules[-1] is c
    assert list(modules[:2]) == [a, b]
    modules[1] = nn.Tanh()
    modules.insert(0, b)
    assert [n for n, _ in modules.named_children()] == ["0", "1", "2", "3"]
    assert list(modules)[:2] == [b, a]
    with pytest.raises(IndexError, match="index 7 is out of range for 4"):
        modules[7]
    with pytest.raises(TypeError, match="ModuleList holds Modules, got list at place 0"):
        nn.ModuleList([[a]])  # type: ignore[list-item]
    with pytest.raises(NotImplementedError, match=r"ModuleList has no forward\(\)"):
        modules(1)
    named = nn.Sequential({"first": a, "second": b})
    assert [n for n, _ in named.named_parameters()] == ["first.weight", "first.bias"]
    assert [n for n, _ in named[1:].named_children()] == ["second"]
    assert [n for n, _ in nn.Sequential(b, a)[1:].named_children()] == ["1"]
    twice = nn.Sequential(a, b, a)
    assert len(twice) == 3
    assert len(list(twice.parameters())) == 2
    assert [n for n, _ in twice.named_children()] == ["0", "1"]


def test_module_dict() -> None:
    a, b = nn.Linear(1, 1), nn.ReLU()
    modules = nn.ModuleDict({"a": a})
    modules["b"] = b
    assert list(modules) == ["a", "b"]
    assert modules.items() == [("a", a), ("b", b)]
    assert "a" in modules
    assert "c" not in modules
    del modules["a"]
    assert len(modules) == 1
    with pytest.raises(KeyError, match="no module 'a'; there are b"):
        modules["a"]
    for name in ("keys", "training", "a.b", ""):
        with pytest.raises(KeyError):
            modules[name] = a


@pytest.mark.parametrize(
    ("register", "error"),
    [
        (lambda m: m.register_buffer("weight", Tensor(1.0)), KeyError),
        (lambda m: m.register_buffer("x", np.ones(2)), TypeError),
        (lambda m: m.register_buffer("x", nn.Parameter(1.0)), TypeError),
        (lambda m: m.register_parameter("x", Tensor(1.0)), TypeError),
        (lambda m: m.register_parameter("in_features", nn.Parameter(1.0)), KeyError),
        (lambda m: m.add_module("x", 3), TypeError),
    ],
)
def test_registration_refusals(register: Any, error: type[Exception]) -> None:
    layer = nn.Linear(2, 2)
    names = list(layer.state_dict())
    with pytest.raises(error):
        register(layer)
    assert list(layer.state_dict())[: len(names)] == names


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    assert model.apply(lambda m: seen.append(type(m).__name__)) is model
    assert seen == ["Linear", "ReLU", "Sequential"]


def test_copies_keep_ties_and_share_nothing() -> None:
    model = Model()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.head.weight is twin.tok.weight
        assert twin.tok.weight is not model.tok.weight
        assert [n for n, _ in twin.named_parameters()] == NAMES
        ids = Tensor(np.array([[1, 2]]))
        assert np.array_equal(twin(ids)._data, model(ids)._data)
        twin.tok.weight._data += 1
        assert not np.array_equal(twin(ids)._data, model(ids)._data)


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> list[Any]:
        manual_seed(seed)
        return [p._data for p in Model().parameters()]

    assert all(np.array_equal(a, b) for a, b in zip(weights(3), weights(3)))
    assert not all(np.array_equal(a, b) for a, b in zip(weights(3), weights(4)))


def test_parameter() -> None:
    array = np.ones(3, np.float64)
    p = nn.Parameter(array)
    assert p._data is array
    assert p.requires_grad
    assert not nn.Parameter(Tensor([1, 2]), requires_grad=False).requires_grad
    assert repr(p).startswith("Parameter containing:\ntensor(")
    with pytest.raises(TypeError, match="int64 cannot require a gradient"):
        nn.Parameter(np.arange(3))


def test_training_a_model_lowers_the_loss() -> None:
    manual_seed(0)
    model = Model()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    ids = Tensor(np.array([[1, 5, 2, 9], [3, 3, 0, 7]]))
    targets = Tensor(np.array([[5, 2, 9, 1], [3, 0, 7, 3]]))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(ids).reshape(-1, 11), targets.reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
