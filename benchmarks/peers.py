"""Side by side: the same faults and the same correct things through gradcheck and its peers.

    python benchmarks/peers.py                             # the table, as Markdown
    python benchmarks/peers.py --write docs/comparison.md  # put it between the document's markers
    python benchmarks/peers.py --only torch_slow           # one contestant
    python benchmarks/peers.py --said gradcheck:detached   # what it said of one subject

Each contestant runs in a process of its own, one after the other, on one thread. Every cell is
what the tool did; a peer that is not installed says so. The peers: torch, jax, torchtest2,
pytest-torch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent)

from peers import table  # noqa: E402
from peers.table import CONTESTANTS, Contestant  # noqa: E402

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(contestant: Contestant) -> dict[str, Any]:
    """A contestant's cells, in a process of its own: what `perform` printed, or why not."""
    if contestant.version() is None:
        return {"missing": f"{contestant.distribution} is not installed"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--perform", contestant.key],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
    )
    if done.returncode != 0:
        raise SystemExit(f"{contestant.key} ended with {done.returncode}\n{done.stderr[-3000:]}")
    print(f"{contestant.key}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def perform(contestant: Contestant) -> None:
    """Run a contestant here and print its cells as one line of JSON."""
    warnings.simplefilter("ignore")
    cells = [cell.to_json() for cell in contestant.cells()]
    print(json.dumps({"cells": {cell["id"]: cell for cell in cells}}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[c.key for c in CONTESTANTS], action="append")
    parser.add_argument("--write", type=Path, help="a Markdown file with the markers")
    parser.add_argument("--said", metavar="CONTESTANT:SUBJECT")
    parser.add_argument("--perform", choices=[c.key for c in CONTESTANTS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    by_key = {c.key: c for c in CONTESTANTS}
    if options.perform:
        perform(by_key[options.perform])
        return
    if options.said:
        key, _, subject = options.said.partition(":")
        print(run(by_key[key])["cells"][subject]["said"])
        return
    chosen = [by_key[k] for k in options.only] if options.only else list(CONTESTANTS)
    text = table.markdown({c.key: run(c) for c in chosen}, chosen)
    if options.write:
        table.write(options.write, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
