"""Saving and loading: round trips, plain safetensors files, all or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tinytorch
from tinytorch import Tensor, nn, optim, serialization
from tinytorch.serialization import SerializationError, load, load_metadata, save


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tok = nn.Embedding(50, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.tok.weight


def test_a_module_round_trip(tmp_path: Path) -> None:
    model, other = Tied(), Tied()
    file = tmp_path / "model.safetensors"
    save(model, file, metadata={"epoch": "3"})
    assert load_metadata(file) == {"epoch": "3"}
    loaded = load(file)
    assert list(loaded) == sorted(model.state_dict()) or set(loaded) == set(model.state_dict())
    other.load_state_dict(loaded)
    for name, value in model.state_dict().items():
        assert np.array_equal(other.state_dict()[name]._data, value._data)
        assert loaded[name].dtype == value.dtype
        assert loaded[name].shape == value.shape
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_tied_weight_is_written_once_and_others_read_the_file(tmp_path: Path) -> None:
    model = Tied()
    file = tmp_path / "model.safetensors"
    save(model, file)
    plain = load_file(file)
    assert "tok.weight" in plain
    assert "head.weight" not in plain
    assert np.array_equal(plain["tok.weight"], model.tok.weight._data)
    save_file({"x": np.arange(3.0)}, tmp_path / "theirs.safetensors")
    assert load(tmp_path / "theirs.safetensors")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.bool_]
)
def test_dtypes_shapes_and_layouts(dtype: Any, tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    state = {
        "plain": values,
        "reversed": values[::-1, :, ::2],
        "transposed": values.T,
        "scalar": values[1, 2, 3],
        "empty": values[:0],
        "broadcast": np.broadcast_to(values[:1], (2, 3, 4)),
    }
    state = {k: np.asarray(v) for k, v in state.items()}
    save(state, tmp_path / "f")
    for name, value in load(tmp_path / "f").items():
        assert value.dtype == dtype
        assert value.shape == state[name].shape
        assert np.array_equal(value._data, state[name]), name


def test_training_resumes_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(16, 3)).astype(np.float32))

    def make() -> tuple[Any, Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 3)

    def steps(model: Any, optimizer: Any, schedule: Any, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
            schedule.step()

    model, optimizer, schedule = first = make()
    steps(*first, 4)
    file = tmp_path / "checkpoint.safetensors"
    save({"model": model, "optimizer": optimizer, "schedule": schedule, "step": 4}, file)
    again = make()
    state = load(file)
    assert state["step"] == 4
    for part, name in zip(again, ("model", "optimizer", "schedule")):
        part.load_state_dict(state[name])
    steps(*first, 4)
    steps(*again, 4)
    for p, q in zip(model.parameters(), again[0].parameters()):
        assert np.array_equal(p._data, q._data)
    assert optimizer.param_groups[0]["lr"] == again[1].param_groups[0]["lr"]
    assert again[1].param_groups[0]["betas"] == (0.9, 0.999)


def test_nested_values(tmp_path: Path) -> None:
    tree = {
        "a": {"b": Tensor([1.0, 2.0]), 3: [1, None, "x", (True, 2.5)]},
        "a.b": np.array([7]),
        "n": np.float32(0.5),
        "empty": {},
    }
    save(tree, tmp_path / "f")
    got = load(tmp_path / "f")
    assert got["a"]["b"].tolist() == [1, 2]
    assert got["a"][3] == [1, None, "x", (True, 2.5)]
    assert got["a.b"].tolist() == [7]
    assert got["n"] == 0.5
    assert got["empty"] == {}
    save({}, tmp_path / "nothing")
    assert load(tmp_path / "nothing") == {}


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "f"
    save({"x": np.ones(2)}, file)
    old = file.read_bytes()

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(serialization.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        save({"x": np.zeros(2)}, file)
    assert file.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_refusals(tmp_path: Path) -> None:
    file = tmp_path / "f"
    with pytest.raises(SerializationError, match="a Module or a dict, got list"):
        save([1], file)
    with pytest.raises(SerializationError, match=r"a\.1 holds a function"):
        save({"a": [1, save]}, file)
    with pytest.raises(SerializationError, match=r"key 1\.5 in a is no text or int"):
        save({"a": {1.5: 2}}, file)
    with pytest.raises(SerializationError, match="'x' holds complex128"):
        save({"x": np.ones(2, complex)}, file)
    with pytest.raises(SerializationError, match="text to text"):
        save({"x": np.ones(2)}, file, metadata={"step": 3})  # type: ignore[dict-item]
    assert not file.exists()
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load(file)
    file.write_bytes(b"not a model")
    with pytest.raises(SerializationError, match="cannot be read as a safetensors file"):
        load(file)


def test_the_package_offers_both(tmp_path: Path) -> None:
    tinytorch.save(nn.Linear(2, 2), str(tmp_path / "f"))
    assert set(tinytorch.load(str(tmp_path / "f"))) == {"weight", "bias"}
