"""Many workers: the order in which items are dealt, and the threads that each may use.

xdist's `load` scheduler hands out items in the order of collection, two to each worker at first and
then, with --maxschedchunk=1, one to whoever has finished one. So the order decides: the
slowest items start first, and each worker's second item is a fast one, because it can no longer
move to another worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from gradcheck.yamlcases.case import Case

T = TypeVar("T")

CACHE_KEY = "gradcheck/durations"

OP_SECONDS = 0.02
MODEL_SECONDS = 0.2
STEP_SECONDS = 2e-3
"""Rough times of a check of an op, a check of a small model, and a training step."""


def worker_count(config: pytest.Config) -> int:
    """How many xdist workers share the work; 0 in a serial run and in the controller."""
    return int(getattr(config, "workerinput", {}).get("workercount", 0))


def cap_threads(config: pytest.Config) -> None:
    """Give each worker its share of the cores: n workers with n threads each are slower
    than one. A number of BLAS threads that the user set in the environment is kept."""
    share = thread_share(config)
    if share is not None:
        from gradcheck.numerics.core.threads import share_cores

        share_cores(share)


def thread_share(config: pytest.Config) -> int | None:
    """The threads that a worker may use; None in a serial run."""
    workers = worker_count(config)
    return max(1, (os.cpu_count() or 1) // workers) if workers else None


def cost(case: Case, check: str, options: Mapping[str, Any], measured: float | None) -> float:
    """Seconds that an item will take: as measured before, else as the case declares, else a guess
    from what it trains. options: those of the check, defaults included."""
    if measured is not None:
        return measured
    if case.cost is not None:
        return case.cost / max(len(case.checks), 1)
    if case.model is None:
        return OP_SECONDS
    steps = options.get("steps")
    batch = case.data.batch if case.data is not None else 1
    work = steps * max(batch, 8) / 8 if isinstance(steps, int) else 0
    return (MODEL_SECONDS + STEP_SECONDS * work) * size(case.args)


def size(args: Mapping[str, Any]) -> float:
    """How many times larger than a small model, guessed from the largest sizes among the
    arguments: a layer costs their product."""
    largest = sorted((n for n in numbers(args) if n > 1), reverse=True)[:2]
    product = 1.0
    for n in largest:
        product *= n
    return max(1.0, product / 2048)


def numbers(value: Any) -> list[float]:
    """All numbers in nested lists and mappings."""
    if isinstance(value, Mapping):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, (list, tuple)):
        return [n for v in value for n in numbers(v)]
    return [float(value)] if isinstance(value, (int, float)) and value is not True else []


def deal(items: Sequence[T], costs: Sequence[float], workers: int) -> list[T]:
    """Order the items for `workers`; the same arguments always give the same order.

    Each worker first gets a slow and a fast item; the rest follow, slowest first.
    """
    order = sorted(range(len(items)), key=lambda i: (-costs[i], i))
    pairs = min(workers, len(order) // 2)
    slow, rest = order[:pairs], order[pairs : len(order) - pairs]
    fast = order[len(order) - pairs :]
    first = [i for pair in zip(slow, reversed(fast)) for i in pair]
    return [items[i] for i in [*first, *rest]]


def hand_out_singly(config: pytest.Config) -> None:
    """In xdist's controller: one item at a time, unless the user chose a number."""
    option = config.option
    if getattr(option, "dist", "no") == "load" and getattr(option, "maxschedchunk", 0) is None:
        option.maxschedchunk = 1


def read_durations(config: pytest.Config) -> dict[str, float]:
    """Seconds of earlier runs by node id, from pytest's cache."""
    cache = getattr(config, "cache", None)
    found = cache.get(CACHE_KEY, {}) if cache is not None else {}
    if not isinstance(found, dict):
        return {}
    return {k: float(v) for k, v in found.items() if isinstance(v, (int, float))}


def write_durations(config: pytest.Config, measured: Mapping[str, float]) -> None:
    """Add what this run measured."""
    cache = getattr(config, "cache", None)
    if cache is not None and measured:
        rounded = {nodeid: round(seconds, 4) for nodeid, seconds in measured.items()}
        cache.set(CACHE_KEY, {**read_durations(config), **rounded})
