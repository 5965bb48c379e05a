"""Targets against inputs, for every form in which a loss gets them."""

import numpy as np
import pytest

from gradcheck.source.line import Line
from gradcheck.watch.data import first_loss, shares_of
from gradcheck.watch.look import Called

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


def test_the_first_loss_is_compared_with_chance():
    logits = 8 * RNG.standard_normal((64, 5))
    ids = RNG.integers(0, 5, 64)
    shifted = logits - logits.max(1, keepdims=True)
    scores = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    value = -float(scores[np.arange(64), ids].mean())
    called = Called("cross_entropy", logits, ids, {}, value, Line("a.py", 3))
    (found,) = first_loss(called, [])
    assert (found.code, found.where) == ("first_loss_high", "a.py:3")
    called = Called("cross_entropy", 0 * logits, ids, {}, float(np.log(5)), None)
    assert not list(first_loss(called, []))
