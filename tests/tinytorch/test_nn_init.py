"""Initial values have PyTorch's distributions; gradient clipping and vectors are PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn, tensor

torch = pytest.importorskip("torch")


def moments(array: Any) -> tuple[float, float, float, float]:
    return float(array.mean()), float(array.std()), float(array.min()), float(array.max())


SHAPE = (120, 40, 3, 2)
FILLS: list[tuple[str, dict[str, Any]]] = [
    ("uniform_", {"a": -2.0, "b": 5.0}),
    ("normal_", {"mean": 3.0, "std": 0.5}),
    ("trunc_normal_", {"mean": 0.2, "std": 1.5, "a": -1.0, "b": 2.0}),
    ("constant_", {"val": 0.3}),
    ("zeros_", {}),
    ("ones_", {}),
    ("xavier_uniform_", {"gain": 2.0}),
    ("xavier_normal_", {}),
    ("kaiming_uniform_", {"a": math.sqrt(5)}),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", {"nonlinearity": "relu"}),
    ("kaiming_normal_", {"a": 0.2, "mode": "fan_out"}),
]


@pytest.mark.parametrize(("name", "kwargs"), FILLS, ids=str)
def test_the_distribution_is_pytorchs(name: str, kwargs: dict[str, Any]) -> None:
    manual_seed(0)
    torch.manual_seed(0)
    ours = Tensor(np.full(SHAPE, np.nan, np.float32))
    assert getattr(nn.init, name)(ours, **kwargs) is ours
    theirs = getattr(torch.nn.init, name)(torch.empty(SHAPE), **kwargs).numpy()
    got, wanted = moments(ours._data), moments(theirs)
    spread = wanted[1]
    assert abs(got[0] - wanted[0]) <= 0.03 * spread + 1e-7
    assert abs(got[1] - wanted[1]) <= 0.02 * spread + 1e-7
    if "normal" not in name or "trunc" in name:  # bounded: the ends are nearly reached
        assert abs(got[2] - wanted[2]) <= 0.01 * spread + 1e-7
        assert abs(got[3] - wanted[3]) <= 0.01 * spread + 1e-7
    # the shape of the distribution, not only its moments
    quantiles = np.linspace(0.05, 0.95, 19)
    off = np.quantile(ours._data, quantiles) - np.quantile(theirs, quantiles)
    assert np.abs(off).max() <= 0.05 * spread + 1e-7


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    t = Tensor(np.zeros(shape))
    nn.init.orthogonal_(t, gain=2.0)
    q = t._data.reshape(shape[0], -1) / 2
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    assert np.allclose(product, np.eye(len(product)), atol=1e-12)


def test_eye() -> None:
    assert np.array_equal(nn.init.eye_(Tensor(np.zeros((2, 3))))._data, np.eye(2, 3))


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu"])
def test_gain(name: str) -> None:
    assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain(
        "leaky_relu", 0.3
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.init.calculate_gain("swish"), "no gain is known for 'swish'"),
        (lambda: nn.init.xavier_uniform_(Tensor(np.zeros(3))), "at least two axes"),
        (lambda: nn.init.kaiming_normal_(Tensor(np.zeros((3, 3))), mode="in"), "'fan_in' or"),
        (lambda: nn.init.trunc_normal_(Tensor(np.zeros(3)), a=50, b=60), "nearer to the mean"),
        (lambda: nn.init.orthogonal_(Tensor(np.zeros(3))), "at least two axes"),
        (lambda: nn.init.eye_(Tensor(np.zeros(3))), "needs a matrix"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_one_seed_one_stream_in_either_precision() -> None:
    weights = []
    for dtype in (np.float32, np.float64):
        manual_seed(5)
        weights.append(nn.Linear(4, 3, dtype=dtype).weight._data)
    assert np.array_equal(weights[0], weights[1].astype(np.float32))
    a, b = np.zeros(4), np.zeros(4)
    for array in (a, b):
        nn.init.normal_(Tensor(array), generator=np.random.default_rng(9))
    assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Linear", (300, 200)),
        ("Embedding", (300, 200)),
        ("Conv1d", (30, 50, 7)),
        ("Conv2d", (20, 60, (3, 5))),
        ("LSTM", (50, 64)),
        ("GRU", (50, 64)),
        ("RNN", (50, 64)),
        ("LayerNorm", (20,)),
        ("BatchNorm2d", (20,)),
    ],
)
def test_the_default_of_each_layer_is_pytorchs(name: str, args: Any) -> None:
    manual_seed(0)
    ours = dict(getattr(nn, name)(*args).named_parameters())
    theirs = dict(getattr(torch.nn, name)(*args).named_parameters())
    assert list(ours) == list(theirs)
    for key, wanted in theirs.items():
        (_, got, *got_ends), (_, std, *ends) = moments(ours[key]._data), moments(wanted.detach())
        few = 4 / math.sqrt(wanted.numel())
        assert abs(got - std) <= max(0.03, few) * std, key
        if name != "Embedding":  # the others are bounded
            assert np.allclose(got_ends, ends, atol=max(0.02, few) * 4 * std), key


def test_the_padding_row_starts_as_zero() -> None:
    weight = nn.Embedding(4, 3, padding_idx=2).weight._data
    assert not weight[2].any()
    assert weight[[0, 1, 3]].all()


def test_from_pretrained() -> None:
    rows = np.arange(12.0).reshape(4, 3)
    layer = nn.Embedding.from_pretrained(rows)
    assert layer.weight._data is rows
    assert not layer.weight.requires_grad
    assert np.array_equal(layer(tensor([2, 0]))._data, rows[[2, 0]])
    assert repr(layer) == "Embedding(4, 3)"


# --- nn.utils ---------------------------------------------------------------------------------


def leaves(dtype: Any = np.float64, scale: float = 1.0) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(1)
    ours, theirs = [], []
    for shape in ((3, 4), (5,), ()):
        value, grad = rng.normal(size=(2, *shape)).astype(dtype)
        p = nn.Parameter(np.array(value))
        p.grad = np.array(grad * dtype(scale))
        q = torch.nn.Parameter(torch.tensor(np.array(value)))
        q.grad = torch.tensor(p.grad.copy())
        ours.append(p)
        theirs.append(q)
    ours.append(nn.Parameter(np.ones(2)))  # without a gradient
    theirs.append(torch.nn.Parameter(torch.ones(2)))
    return ours, theirs


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.3, 100.0])
def test_clip_grad_norm(max_norm: float, norm_type: float) -> None:
    ours, theirs = leaves()
    total = nn.utils.clip_grad_norm_(ours, max_norm, norm_type)
    wanted = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert total == pytest.approx(wanted.item(), rel=1e-12)
    for p, q in zip(ours[:3], theirs):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


def test_clip_grad_norm_of_extreme_float32_gradients() -> None:
    for scale in (1e25, 1e-25):
        ours, _ = leaves(np.float32, scale)
        exact = math.sqrt(sum((p.grad.astype(np.float64) ** 2).sum() for p in ours[:3]))
        assert nn.utils.clip_grad_norm_(ours, 1.0) == pytest.approx(exact, rel=1e-6)
    ours[0].grad[0, 0] = np.nan
    with pytest.raises(ValueError, match="norm of the gradients is nan"):
        nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([nn.Parameter(np.ones(2))], 1.0) == 0


def test_clip_grad_value() -> None:
    ours, theirs = leaves()
    nn.utils.clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    for p, q in zip(ours[:3], theirs):
        assert np.array_equal(p.grad, q.grad.numpy())


def test_parameters_as_a_vector() -> None:
    ours, theirs = leaves()
    vector = nn.utils.parameters_to_vector(ours)
    wanted = torch.nn.utils.parameters_to_vector(theirs).detach().numpy()
    assert np.array_equal(vector._data, wanted)
    for p in ours:
        p.grad = None
    (vector * vector).sum().backward()
    assert np.allclose(ours[0].grad, 2 * ours[0]._data)
    nn.utils.vector_to_parameters(Tensor(np.arange(20.0)), ours)
    assert np.array_equal(ours[1]._data, np.arange(12.0, 17.0))
    assert ours[2]._data == 17
    with pytest.raises(ValueError, match=r"hold 20 numbers, the vector has shape \(19,\)"):
        nn.utils.vector_to_parameters(Tensor(np.arange(19.0)), ours)
