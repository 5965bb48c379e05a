"""Targets against inputs, for every form in which a loss gets them."""

import numpy as np
import pytest

from gradcheck.watch.data import shares_of

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 20, (8, 13))


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
@pytest.mark.parametrize("flat", [True, False])
def test_the_shift_is_found(shift, flat):
    long = RNG.integers(0, 20, (8, 16))
    ids, target = long[:, :12], long[:, shift : 12 + shift]
    shares = shares_of(ids, target.reshape(-1) if flat else target)
    assert max(shares, key=lambda s: shares[s]) == shift
    assert shares[shift] == 1.0


def test_a_loss_that_leaves_out_the_last_position():
    shares = shares_of(IDS, IDS[:, 1:].reshape(-1))
    assert shares[1] == 1.0
    assert shares[0] < 0.3


def test_targets_to_ignore_do_not_count():
    target = np.roll(IDS, -1, axis=1)
    target[:, -1] = -100
    target[:, :3] = -100
    assert shares_of(IDS, target)[1] == 1.0


def test_targets_that_are_no_positions_say_nothing():
    assert shares_of(IDS, RNG.integers(0, 2, 8)) == {}
    assert max(shares_of(IDS, RNG.integers(0, 20, IDS.shape)).values()) < 0.3
