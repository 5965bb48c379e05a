"""One job of one contestant of `gradient.py`, in this process; prints one line of JSON."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

SIZES = {"vocab": 16, "context": 8, "layers": 2, "heads": 4, "width": 32}
DECADES = [3.0 * 10.0**-k for k in range(12)] + [10.0**-k for k in range(12)]
DECADES.sort(reverse=True)


def smallest_seen(
    wrong: Callable[[tuple[int, ...], float], bool], entries: list[Any]
) -> float | None:
    """The smallest error of the decades that is seen in every entry: wrong(entry, error)."""
    best = None
    for error in DECADES:
        if not all(wrong(entry, error) for entry in entries):
            break
        best = error
    return best


def sampled(gradient: Any, count: int = 6) -> list[tuple[int, ...]]:
    """Entries of median size and above, the one nearest the median first."""
    flat = np.abs(np.asarray(gradient)).reshape(-1)
    order = np.argsort(flat)
    upper = order[len(order) // 2 :]
    chosen = upper[np.linspace(0, len(upper) - 1, min(count, len(upper))).round().astype(int)]
    return [tuple(int(k) for k in np.unravel_index(i, np.shape(gradient))) for i in chosen]


def seconds_of(job: Callable[[], Any], repeat: int = 2) -> tuple[float, Any]:
    """The best of a few runs in this process: imports and first calls are nobody's cost."""
    best, result = float("inf"), None
    for _ in range(repeat):
        start = time.perf_counter()
        result = job()
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    name, job, *args = sys.argv[1:]
    module = f"with_{name.partition('_')[0]}"  # torch_slow and torch_fast share one
    contestant = importlib.import_module(module)
    if module == "with_torch":
        contestant.FAST = name == "torch_fast"
    values = [int(a) if a.isdigit() else a for a in args]
    print(json.dumps(getattr(contestant, job)(*values)))


if __name__ == "__main__":
    main()
