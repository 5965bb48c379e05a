"""The verdict on a learning rate, from the losses that other rates reach."""

import math

import numpy as np
import pytest

from gradcheck.watch.sweep import Ran, confirm, judge


def losses(rate, steps, *, first=3.4, floor=0.4, tau=0.15, cliff=0.1, noise=0.05, seed=0):
    """Adam on a small model, about: the fall goes with rate times steps; above the cliff it
    rises."""
    rng = np.random.default_rng([seed, int(rate * 1e7)])
    t = np.arange(steps)
    if rate > 10 * cliff:
        return [first, first * 1e4]
    if rate > cliff:
        return list(first + 0.2 * t)
    curve = floor + (first - floor) * np.exp(-rate * t / tau)
    return list(curve + noise * rng.standard_normal(steps))


def verdict(rate, *, ends=None, factors=(0.1, 1, 10, 100 / 3, 100, 1000), **how):
    runs = []
    for factor in factors:
        values = losses(rate * factor, 40, **how)
        bad = not all(map(math.isfinite, values)) or values[-1] > 1e3
        runs.append(Ran(rate * factor, tuple(values), "diverged" if bad else "steps"))
    runs[1] = Ran(rate, runs[1].losses, runs[1].how)
    found = judge(rate, runs)
    own = Ran(rate, tuple(losses(rate, ends or 400, **how)), "ended")
    return confirm(found, own, 40) if found.code == "lr_too_low" else found


@pytest.mark.parametrize("seed", range(10))
def test_a_rate_30_times_too_low(seed):
    found = verdict(3e-4, seed=seed)
    assert found.code == "lr_too_low"
    assert found.best == pytest.approx(1e-2, rel=0.1)
    assert "too low by about 30x" in found.message


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rate", [3e-3, 1e-2, 3e-2])
def test_a_rate_that_learns_is_left_alone(rate, seed):
    assert verdict(rate, seed=seed).code == "fine"


@pytest.mark.parametrize("seed", range(10))
def test_a_rate_beyond_the_cliff(seed):
    found = verdict(0.5, factors=(0.1, 1, 0.01, 0.001, 10, 100), seed=seed)
    assert found.code == "lr_too_high"
    assert found.best < 0.1


@pytest.mark.parametrize("seed", range(10))
def test_a_loss_that_no_rate_lowers_says_nothing(seed):
    assert verdict(3e-4, floor=3.3, seed=seed).code == "fine"
    assert verdict(3e-4, floor=3.3, noise=0.6, seed=seed).code == "fine"


def test_a_low_rate_that_arrives_in_the_time_that_the_script_takes_is_fine():
    assert verdict(3e-4, ends=2000).code == "fine"


def test_a_run_that_was_too_short_to_see_says_nothing():
    runs = [Ran(r, tuple(losses(r, 40)), "steps") for r in (3e-5, 3e-4, 3e-3, 1e-2)]
    found = judge(3e-4, runs)
    assert found.code == "lr_too_low"
    assert confirm(found, Ran(3e-4, tuple(losses(3e-4, 50)), "time"), 40) is None
    assert confirm(found, Ran(3e-4, tuple(losses(3e-4, 50)), "ended"), 40) == found
