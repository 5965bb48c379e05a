"""Datasets and loaders: every sample once, pairs stay pairs, orders follow from the seed."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed
from tinytorch.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)


class Squares(Dataset):
    """A dataset without arrays: sample i is (array [i, i], i²)."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        return np.full(2, index, np.float32), index**2


def arrays(n: int) -> TensorDataset:
    ids = np.arange(n)
    return TensorDataset(np.stack([ids, ids], axis=1).astype(np.float32), Tensor(ids**2))


@pytest.fixture(params=[Squares, arrays, lambda n: Subset(Squares(2 * n), range(n))])
def make(request: Any) -> Any:
    return request.param


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (9, 3), (2, 5), (1, 1)])
def test_every_sample_once_and_pairs_stay_paired(
    make: Any, n: int, batch_size: int, shuffle: bool
) -> None:
    loader = DataLoader(make(n), batch_size, shuffle, seed=1)
    for _ in range(3):
        batches = list(loader)
        assert len(batches) == len(loader) == -(-n // batch_size)
        seen = []
        for x, y in batches:
            assert isinstance(x, Tensor)
            assert isinstance(y, Tensor)
            assert x.dtype == np.float32
            assert y.dtype == np.int64
            assert x.shape == (len(y), 2)
            assert not x.requires_grad
            assert np.array_equal(x._data[:, 0] ** 2, y._data)
            seen += x._data[:, 0].astype(int).tolist()
        assert sorted(seen) == list(range(n))
        assert shuffle or seen == list(range(n))
        assert all(len(y) == batch_size for _, y in batches[:-1])


def order(loader: DataLoader) -> list[int]:
    return [int(v) for x, _ in loader for v in x._data[:, 0]]


def test_the_same_seed_repeats_and_epochs_differ(make: Any) -> None:
    a, b = (DataLoader(make(40), 7, shuffle=True, seed=3) for _ in range(2))
    epochs = [order(a) for _ in range(3)]
    assert epochs == [order(b) for _ in range(3)]
    assert len({tuple(e) for e in epochs}) == 3
    assert order(DataLoader(make(40), 7, shuffle=True, seed=4)) != epochs[0]
    assert order(DataLoader(make(40), 5, shuffle=True, seed=3)) == epochs[0]
    b.epoch = 1
    assert order(b) == epochs[1]


def test_the_order_does_not_depend_on_what_else_is_drawn() -> None:
    manual_seed(0)
    first = order(DataLoader(arrays(30), 4, shuffle=True, seed=1))
    manual_seed(99)
    assert order(DataLoader(arrays(30), 4, shuffle=True, seed=1)) == first


def test_without_a_seed_the_order_follows_manual_seed() -> None:
    manual_seed(5)
    loader = DataLoader(arrays(30), 4, shuffle=True)
    first, second = order(loader), order(loader)
    assert first != second
    manual_seed(5)
    assert order(DataLoader(arrays(30), 4, shuffle=True)) == first
    rng = np.random.default_rng(5)
    assert order(DataLoader(arrays(30), 4, shuffle=True, generator=rng)) == first


def test_two_iterators_at_once() -> None:
    loader = DataLoader(arrays(12), 3, shuffle=True, seed=0)
    a, b = iter(loader), iter(loader)
    merged: tuple[list[int], list[int]] = ([], [])
    for (x, _), (y, _) in zip(a, b):
        merged[0].extend(x._data[:, 0].astype(int).tolist())
        merged[1].extend(y._data[:, 0].astype(int).tolist())
    assert sorted(merged[0]) == sorted(merged[1]) == list(range(12))
    assert merged[0] != merged[1]


@pytest.mark.parametrize(("n", "batches"), [(10, 3), (9, 3), (2, 0)])
def test_drop_last(make: Any, n: int, batches: int) -> None:
    loader = DataLoader(make(n), 3, drop_last=True)
    got = list(loader)
    assert len(got) == len(loader) == batches
    assert all(len(y) == 3 for _, y in got)


def test_collate_fn_gets_the_samples() -> None:
    loader = DataLoader(Squares(5), 2, collate_fn=lambda samples: [y for _, y in samples])
    assert list(loader) == [[0, 1], [4, 9], [16]]


def test_batches_are_copies() -> None:
    data = arrays(4)
    x, _ = next(iter(DataLoader(data, 4)))
    x._data[...] = 0
    assert data.arrays[0].any()


def test_default_collate() -> None:
    Pair = namedtuple("Pair", "a b")
    batch = default_collate([{"x": Pair(1, 2.5), "s": "one"}, {"x": Pair(3, 4.5), "s": "two"}])
    assert batch["s"] == ["one", "two"]
    assert isinstance(batch["x"], Pair)
    assert batch["x"].a.dtype == np.int64
    assert batch["x"].b.dtype == np.float32
    assert batch["x"].b.tolist() == [2.5, 4.5]
    assert default_collate([np.float64(1), np.float64(2)]).dtype == np.float64
    assert default_collate([Tensor(True), Tensor(False)]).dtype == np.bool_


def test_default_collate_refusals() -> None:
    with pytest.raises(ValueError, match=r"sample 1 of the batch, field \[0\], has shape \(3,\)"):
        default_collate([(np.zeros(2), 0), (np.zeros(3), 1)])
    with pytest.raises(ValueError, match="sample 1 of the batch has 1 fields, the first has 2"):
        default_collate([(1, 2), (1,)])


def test_tensor_dataset() -> None:
    data = arrays(5)
    x, y = data[3]
    assert x.tolist() == [3, 3]
    assert y.item() == 9
    assert len(data) == 5
    with pytest.raises(ValueError, match=r"equal lengths, got \[5, 4\]"):
        TensorDataset(np.zeros(5), np.zeros(4))
    with pytest.raises(ValueError, match="at least one"):
        TensorDataset()
    with pytest.raises(ValueError, match=r"array 1 .* no rows"):
        TensorDataset(np.zeros(1), np.float64(3))


def test_random_split(make: Any) -> None:
    data = make(20)
    parts = random_split(data, [12, 5, 3], seed=2)
    found = [sorted(int(part[i][1]) for i in range(len(part))) for part in parts]
    assert [len(p) for p in parts] == [12, 5, 3]
    assert sorted(v for part in found for v in part) == [i**2 for i in range(20)]
    again = random_split(data, [12, 5, 3], seed=2)
    assert all(np.array_equal(p.indices, q.indices) for p, q in zip(parts, again))
    other = random_split(data, [12, 5, 3], generator=np.random.default_rng(3))
    assert not np.array_equal(parts[0].indices, other[0].indices)
    assert sorted(order(DataLoader(parts[0], 5, shuffle=True, seed=0))) == sorted(
        int(np.sqrt(v)) for v in found[0]
    )
    subset = Subset(parts[0], [2, 0])
    assert order(DataLoader(subset, 2)) == [int(parts[0][2][0][0]), int(parts[0][0][0][0])]


def test_random_split_by_fractions() -> None:
    torch = pytest.importorskip("torch")
    for n, fractions in ((10, [0.5, 0.3, 0.2]), (11, [0.7, 0.3]), (1797, [0.8, 0.1, 0.1])):
        wanted = torch.utils.data.random_split(range(n), fractions)
        got = random_split(Squares(n), fractions, seed=0)
        assert [len(p) for p in got] == [len(p) for p in wanted]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="must add up to the 5 samples"):
        random_split(Squares(5), [2, 2])
    with pytest.raises(ValueError, match="must add up to the 5 samples"):
        random_split(Squares(5), [0.5, 0.4])
    with pytest.raises(ValueError, match="must not be negative"):
        random_split(Squares(5), [6, -1])
    with pytest.raises(IndexError, match="from 0 to 5, the dataset has 5"):
        Subset(Squares(5), [0, 5])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        DataLoader(Squares(5), 0)
    with pytest.raises(TypeError, match=r"integer, got 2\.5"):
        DataLoader(Squares(5), 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not both"):
        DataLoader(Squares(5), 2, seed=1, generator=np.random.default_rng())
    with pytest.raises(ValueError, match="no samples"):
        DataLoader(Squares(0), 2, shuffle=True)
    with pytest.raises(TypeError, match="__getitem__, got int"):
        DataLoader(3)
    assert list(DataLoader(Squares(0), 2)) == []
    with pytest.raises(NotImplementedError, match="__len__"):
        len(Dataset())
