"""Spreading independent evaluations over the cores.

numpy lets go of the interpreter inside its loops, so threads help. The BLAS library is held to one
thread: two of ours with two of its own each wait for one another, and for the small products of a
gradient check two of its threads spend their time handing over (ten times slower when others work).
Without `threadpoolctl` (extra `parallel`) it cannot be held, and none of ours are started.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, TypeVar

Item = TypeVar("Item")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MOST = 8
_workers = min(MOST, os.cpu_count() or 1)


def use_at_most(count: int) -> None:
    """For the rest of this process: it has a share of the cores only."""
    global _workers
    _workers = min(MOST, count)


def share_cores(count: int) -> None:
    """For the rest of this process: `count` threads, those of BLAS included. A number of BLAS
    threads that the user set in the environment is kept."""
    use_at_most(count)
    if any(name in os.environ for name in THREAD_VARIABLES):
        return
    try:
        import threadpoolctl
    except ImportError:
        return
    threadpoolctl.threadpool_limits(count)


def workers() -> int:
    """On how many threads `spread` runs what is worth it."""
    return _workers


def spread(run: Callable[[Item], None], items: Iterable[Item], *, threads: bool) -> None:
    """Call `run` on every item; on all cores where `threads` says that it is worth it."""
    if not threads or workers() == 1 or _blas() is None:
        for item in items:
            run(item)
        return
    with one_blas_thread(), ThreadPoolExecutor(workers()) as pool:
        list(pool.map(run, items))


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread, where it can be limited."""
    controller = _blas()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _blas() -> Any:
    """The handle of the BLAS library's threads, None where there is none."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
