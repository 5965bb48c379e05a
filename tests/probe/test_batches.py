"""Batches: whole, in an order that follows from the seed, epoch after epoch."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from gradcheck.probe.batches import Loader, collate


class Numbered:
    """Sample i is (i, [i, i])."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[int, list[int]]:
        return i, [i, i]


class Own(Numbered):
    """Makes its own batches."""

    def loader(self, batch_size: int, shuffle: bool, seed: int) -> list[tuple[list[int]]]:
        return [([batch_size, int(shuffle), seed],)] * self.count


def epoch(loader: Loader) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


def test_fields_are_stacked_each_by_itself() -> None:
    ids, rows = collate([(1, [1, 2]), (3, [4, 5])])
    assert ids.tolist() == [1, 3]
    assert rows.tolist() == [[1, 2], [4, 5]]


def test_only_whole_batches_in_the_order_of_the_data() -> None:
    loader = Loader(Numbered(7), 3, shuffle=False, seed=0)
    assert epoch(loader) == epoch(loader) == [[0, 1, 2], [3, 4, 5]]


def test_the_order_is_new_each_epoch_and_follows_from_the_seed() -> None:
    one, again, other = (Loader(Numbered(12), 4, shuffle=True, seed=s) for s in (1, 1, 2))
    first, second = epoch(one), epoch(one)
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(12))
    assert first != second
    assert [epoch(again), epoch(again)] == [first, second]
    assert epoch(other) != first


def test_take_goes_on_with_the_next_epoch() -> None:
    loader = Loader(Numbered(4), 2, shuffle=False, seed=0)
    assert [b[0].tolist() for b in loader.take(3)] == [[0, 1], [2, 3], [0, 1]]


def test_a_dataset_may_make_its_own_batches() -> None:
    (batch,) = Loader(Own(2), 2, shuffle=True, seed=5).take(1)
    assert isinstance(batch[0], np.ndarray)
    assert batch[0].tolist() == [2, 1, 5]


def test_what_gives_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a batch of 5 .* 4 samples; lower `data: batch`"):
        Loader(Numbered(4), 5, shuffle=False, seed=0)
    with pytest.raises(ValueError, match="yields no batch at all"):
        next(Loader(Own(0), 0, shuffle=False, seed=0).take(1))
