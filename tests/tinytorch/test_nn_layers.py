"""Every layer against PyTorch's: output and all gradients, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn

torch = pytest.importorskip("torch")

from .layers import close, compare, same_weights, theirs  # noqa: E402


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape)


IDS = np.array([[1, 4, 1], [0, 2, 4]])

LAYERS = [
    ("Linear", (5, 3), {}, normal(2, 4, 5)),
    ("Linear", (5, 3), {"bias": False}, normal(7, 5)),
    ("Linear", (5, 3), {}, normal(5)),
    ("Embedding", (5, 3), {}, IDS),
    ("Embedding", (5, 3), {"padding_idx": 1}, IDS),
    ("Embedding", (5, 3), {"padding_idx": -1}, IDS),
    ("LayerNorm", (5,), {}, normal(3, 4, 5)),
    ("LayerNorm", ((4, 5),), {"eps": 0.1}, normal(3, 4, 5)),
    ("LayerNorm", (5,), {"bias": False}, normal(3, 4, 5)),
    ("LayerNorm", (5,), {"elementwise_affine": False}, normal(3, 4, 5)),
    ("RMSNorm", (5,), {}, normal(3, 4, 5)),
    ("RMSNorm", ((4, 5),), {"eps": 0.1}, normal(3, 4, 5)),
    ("RMSNorm", (5,), {"elementwise_affine": False}, normal(3, 5)),
    ("BatchNorm1d", (3,), {}, normal(6, 3)),
    ("BatchNorm1d", (3,), {"eps": 0.1, "affine": False}, normal(6, 3, 4)),
    ("BatchNorm2d", (3,), {}, normal(2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, normal(2, 3, 4, 5)),
    ("Conv1d", (4, 6, 3), {}, normal(2, 4, 9)),
    ("Conv1d", (4, 6, 3, 2, 2), {"dilation": 2, "groups": 2, "bias": False}, normal(2, 4, 9)),
    ("Conv1d", (4, 6, 3), {"padding": "same"}, normal(2, 4, 9)),
    ("Conv2d", (2, 3, 3), {}, normal(2, 2, 6, 5)),
    ("Conv2d", (2, 4, (2, 3), 2, (1, 2)), {"groups": 2}, normal(3, 2, 6, 7)),
    ("Conv2d", (2, 3, 3), {"padding": "same", "dilation": 2}, normal(2, 2, 6, 5)),
    ("MaxPool2d", (2,), {}, normal(2, 3, 6, 5)),
    ("MaxPool2d", (3, 2, 1), {}, normal(2, 3, 6, 5)),
    ("MaxPool2d", ((2, 3),), {"stride": 1, "dilation": (2, 1)}, normal(2, 3, 6, 5)),
    ("AvgPool2d", (2,), {}, normal(2, 3, 6, 5)),
    ("AvgPool2d", (3, 2, 1), {}, normal(2, 3, 6, 5)),
    ("AvgPool2d", (3, 2, 1), {"count_include_pad": False}, normal(2, 3, 6, 5)),
    ("ReLU", (), {}, normal(4, 5)),
    ("LeakyReLU", (), {}, normal(4, 5)),
    ("LeakyReLU", (0.2,), {}, normal(4, 5)),
    ("GELU", (), {}, normal(4, 5)),
    ("GELU", (), {"approximate": "tanh"}, normal(4, 5)),
    ("SiLU", (), {}, normal(4, 5)),
    ("Tanh", (), {}, normal(4, 5)),
    ("Sigmoid", (), {}, normal(4, 5)),
    ("Softplus", (), {}, 20 * normal(4, 5)),
    ("Softplus", (2.0, 3.0), {}, normal(4, 5)),
    ("Softmax", (-1,), {}, normal(4, 5)),
    ("Softmax", (0,), {}, normal(4, 5)),
    ("LogSoftmax", (1,), {}, normal(4, 5)),
    ("Flatten", (), {}, normal(2, 3, 4)),
    ("Flatten", (0, 1), {}, normal(2, 3, 4)),
    ("Identity", (), {}, normal(2, 3)),
    ("Dropout", (0.0,), {}, normal(2, 3)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "x"), LAYERS, ids=str)
def test_layer(name: str, args: Any, kwargs: Any, x: Any) -> None:
    ours, other = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    same_weights(ours, other, np.random.default_rng(7))
    compare(ours, other, x)
    compare(ours.eval(), other.eval(), x)


def test_every_layer_is_compared() -> None:
    compared = {name for name, *_ in LAYERS} | {"RNN", "LSTM", "GRU"}
    elsewhere = {"Module", "ModuleDict", "ModuleList", "Parameter", "Sequential", "StateDictError"}
    public = {n for n in nn.__all__ if n[0].isupper() and not n.endswith("Loss")}
    assert public == compared | elsewhere


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize(
    ("name", "shape"), [("BatchNorm1d", (6, 3)), ("BatchNorm2d", (2, 3, 4, 5))]
)
def test_batch_norm_running_moments(name: str, shape: Any, momentum: float | None) -> None:
    ours = getattr(nn, name)(3, momentum=momentum)
    other = getattr(torch.nn, name)(3, momentum=momentum)
    rng = np.random.default_rng(3)
    same_weights(ours, other, rng)
    for _ in range(3):
        compare(ours, other, rng.normal(2, 3, size=shape))
    buffers = dict(other.named_buffers())
    assert [n for n, _ in ours.named_buffers()] == list(buffers)
    for buffer_name, buffer in ours.named_buffers():
        close(buffer._data, buffers[buffer_name], buffer_name)
    before = {n: b._data.copy() for n, b in ours.named_buffers()}
    compare(ours.eval(), other.eval(), rng.normal(2, 3, size=shape))
    for buffer_name, buffer in ours.named_buffers():
        assert np.array_equal(buffer._data, before[buffer_name])


RECURRENT = [
    {},
    {"num_layers": 3},
    {"bias": False},
    {"batch_first": True, "num_layers": 2},
    {"bidirectional": True, "num_layers": 2},
    {"bidirectional": True, "batch_first": True, "bias": False},
]


@pytest.mark.parametrize("state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("kwargs", RECURRENT, ids=str)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent(name: str, kwargs: dict[str, Any], state: bool) -> None:
    ours, other = getattr(nn, name)(3, 4, **kwargs), getattr(torch.nn, name)(3, 4, **kwargs)
    rng = np.random.default_rng(5)
    same_weights(ours, other, rng)
    shape = (2, 6, 3) if kwargs.get("batch_first") else (6, 2, 3)
    arguments: list[Any] = [rng.normal(size=shape)]
    if state:
        rows = kwargs.get("num_layers", 1) * (2 if kwargs.get("bidirectional") else 1)
        h, c = rng.normal(size=(2, rows, 2, 4))
        arguments.append((h, c) if name == "LSTM" else h)
    compare(ours, other, *arguments)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_without_a_batch(name: str) -> None:
    ours, other = getattr(nn, name)(3, 4, 2), getattr(torch.nn, name)(3, 4, 2)
    rng = np.random.default_rng(6)
    same_weights(ours, other, rng)
    compare(ours, other, rng.normal(size=(6, 3)))


def test_relu_rnn() -> None:
    ours, other = (m.RNN(3, 4, 2, nonlinearity="relu") for m in (nn, torch.nn))
    same_weights(ours, other, np.random.default_rng(8))
    compare(ours, other, normal(6, 2, 3))


def test_recurrent_refusals() -> None:
    lstm = nn.LSTM(3, 4)
    with pytest.raises(ValueError, match="in = 3, got shape"):
        lstm(Tensor(np.zeros((5, 2, 4))))
    with pytest.raises(ValueError, match=r"\(1, 2, 4\), got \(1, 5, 4\)"):
        lstm(Tensor(np.zeros((5, 2, 3))), (Tensor(np.zeros((1, 5, 4))),) * 2)
    with pytest.raises(TypeError, match="pair"):
        lstm(Tensor(np.zeros((5, 2, 3))), Tensor(np.zeros((1, 2, 4))))
    with pytest.raises(ValueError, match="no time steps"):
        lstm(Tensor(np.zeros((0, 2, 3))))


def test_dropout_between_the_layers_of_an_rnn() -> None:
    manual_seed(0)
    rnn = nn.RNN(3, 64, num_layers=2, dropout=0.5)
    x = Tensor(normal(4, 2, 3).astype(np.float32))
    a, b = rnn(x)[0]._data, rnn(x)[0]._data
    assert not np.array_equal(a, b)
    rnn.eval()
    assert np.array_equal(rnn(x)[0]._data, rnn(x)[0]._data)


def test_dropout() -> None:
    manual_seed(1)
    layer = nn.Dropout(0.25)
    x = Tensor(np.ones((200, 200)), requires_grad=True)
    y = layer(x)
    kept = y._data != 0
    assert abs(kept.mean() - 0.75) < 0.01
    assert np.allclose(y._data[kept], 1 / 0.75)
    y.sum().backward()
    assert np.allclose(x.grad, y._data)
    assert np.array_equal(layer.eval()(x)._data, x._data)
    manual_seed(1)
    assert np.array_equal(layer.train()(x)._data, y._data)
    with pytest.raises(ValueError, match=r"p=1\.5"):
        nn.Dropout(1.5)


C = np.array([1, 0, 3, 3])
LOSSES = [
    ("CrossEntropyLoss", {}, normal(4, 5), C),
    ("CrossEntropyLoss", {"reduction": "none", "ignore_index": 3}, normal(4, 5), C),
    ("CrossEntropyLoss", {"label_smoothing": 0.2, "weight": True}, normal(4, 5), C),
    ("CrossEntropyLoss", {"reduction": "sum"}, normal(2, 5, 3), IDS),
    ("NLLLoss", {}, normal(4, 5), C),
    ("NLLLoss", {"weight": True, "ignore_index": 0}, normal(2, 5, 3), IDS),
    ("BCEWithLogitsLoss", {}, normal(4, 5), abs(np.sin(normal(4, 5)))),
    (
        "BCEWithLogitsLoss",
        {"weight": True, "pos_weight": True, "reduction": "sum"},
        normal(4, 5),
        abs(np.sin(normal(4, 5))),
    ),
    ("MSELoss", {}, normal(4, 5), normal(5, 4).T),
    ("MSELoss", {"reduction": "none"}, normal(4, 5), normal(5, 4).T),
    ("L1Loss", {}, normal(4, 5), normal(5, 4).T),
    ("L1Loss", {"reduction": "sum"}, normal(4, 5), normal(5, 4).T),
    ("HuberLoss", {}, 2 * normal(4, 5), normal(5, 4).T),
    ("HuberLoss", {"delta": 0.3, "reduction": "none"}, normal(4, 5), normal(5, 4).T),
]


@pytest.mark.parametrize(("name", "kwargs", "x", "target"), LOSSES, ids=str)
def test_loss(name: str, kwargs: dict[str, Any], x: Any, target: Any) -> None:
    weights = np.array([0.5, 2.0, 1.0, 0.1, 3.0])
    arrays = {k: weights for k, v in kwargs.items() if v is True}
    ours = getattr(nn, name)(**{**kwargs, **arrays})
    other = getattr(torch.nn, name)(**{**kwargs, **{k: theirs(v) for k, v in arrays.items()}})
    assert {n for n, _ in ours.named_buffers()} == set(arrays)
    compare(ours, other, x, target)


def test_every_loss_is_compared() -> None:
    assert {n for n in nn.__all__ if n.endswith("Loss")} == {name for name, *_ in LOSSES}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.CrossEntropyLoss(reduction="avg"), "'mean', 'sum' or 'none'"),
        (lambda: nn.Embedding(5, 3, padding_idx=5), "padding_idx 5 is no row of 5"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "multiples"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), "kernel_size"),
        (lambda: nn.Linear(3, -1), "integers from 0 up"),
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), "'tanh' or 'relu'"),
        (lambda: nn.GRU(3, 0), "positive"),
        (lambda: nn.BatchNorm2d(3)(Tensor(np.zeros((2, 4, 5, 5)))), "C = 3, got shape"),
        (lambda: nn.HuberLoss(delta=0), "positive delta"),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_softmax_needs_its_axis() -> None:
    with pytest.raises(TypeError, match=r"Softmax\(dim=-1\)"):
        nn.Softmax()
