"""Are reports whole, whenever and however a run is killed?

    python benchmarks/chaos.py                  # 24 killed runs
    python benchmarks/chaos.py --runs 500 --seed 7

Each run checks a few dozen ops serially, with two workers or in child processes, and is killed by
SIGKILL, SIGTERM or SIGINT at a random moment. Then the report must be absent or a valid document
with only finished items and `complete: false` (unless the run was over before), no process may be
left, and a run with --gradcheck-resume must end with the results of a run that was left alone. Exit
status 1 when any of that does not hold. Unix only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

OPS = ("tanh", "sigmoid", "exp", "relu", "gelu", "softplus")
CASES = 5
"""Cases of each op."""
MODES = {"serial": (), "two workers": ("-n", "2"), "isolated": ("--gradcheck-isolate",)}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 10.0
"""Seconds that what the run has started may take to end."""
REPORT = "out/r.json"


def project(folder: Path) -> None:
    lines = ["schema: 1", "cases:"]
    for op in OPS:
        for i in range(CASES):
            lines.append(f"  {op}_{i}: {{op: {op}, inputs: {{x: [2, {i + 2}]}}, seed: {i}}}")
    (folder / "cases").mkdir(parents=True)
    (folder / "cases" / "a.yaml").write_text("\n".join(lines) + "\n")
    (folder / "pytest.ini").write_text("[pytest]\n")


def command(*arguments: str) -> list[str]:
    report = f"--gradcheck-json={REPORT}"
    return [sys.executable, "-m", "pytest", "-q", "--gradcheck", report, *arguments]


def read(folder: Path) -> dict[str, Any] | None:
    path = folder / REPORT
    found: dict[str, Any] | None = json.loads(path.read_bytes()) if path.exists() else None
    return found


def results(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in item.items() if k != "seconds"} for item in document["items"]]


def left(mark: str) -> list[int]:
    """Processes that have `mark` in their environment: it is inherited by all that a run starts."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return found


def one(folder: Path, mode: str, number: signal.Signals, delay: float) -> set[str]:
    """Kill one run. What did not hold, in words."""
    mark = f"GRADCHECK_CHAOS={folder.name}"
    environment = {**os.environ, "GRADCHECK_CHAOS": folder.name}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(*MODES[mode]), cwd=folder, env=environment, **quiet)  # type: ignore[call-overload]
    time.sleep(delay)
    over = process.poll() is not None
    process.send_signal(number)
    process.wait()
    wrong: set[str] = set()
    until = time.monotonic() + PATIENCE
    while left(mark) and time.monotonic() < until:
        time.sleep(0.2)
    for pid in left(mark):
        wrong.add("a process was left")
        os.kill(pid, signal.SIGKILL)
    try:
        document = read(folder)
    except ValueError:
        return wrong | {"the report is invalid"}
    if document is not None:
        if document["complete"] and not over and len(document["items"]) < len(OPS) * CASES:
            wrong.add("complete without all items")
        if any(item["outcome"] != "passed" for item in document["items"]):
            wrong.add("an item that did not pass")
        if [p.name for p in (folder / "out").iterdir()] != [Path(REPORT).name]:
            wrong.add("litter beside the report")
    return wrong


def resumed(folder: Path, whole: list[dict[str, Any]]) -> set[str]:
    """Go on with a killed run. What did not hold."""
    if read(folder) is None:
        return set()
    # Without the cache: it remembers what was running at the death, and a note says so.
    again = command(f"--gradcheck-resume={REPORT}", "-p", "no:cacheprovider")
    done = subprocess.run(again, cwd=folder, capture_output=True, check=False)
    document = read(folder)
    same = document is not None and document["complete"] and results(document) == whole
    return set() if same and done.returncode == 0 else {"resumed, but not to the same results"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    bad: Counter[str] = Counter()
    with_items = 0
    with tempfile.TemporaryDirectory(prefix="gradcheck-chaos-") as top:
        alone = Path(top, "alone")
        project(alone)
        start = time.perf_counter()
        subprocess.run(command(), cwd=alone, capture_output=True, check=True)
        seconds = time.perf_counter() - start
        whole = results(read(alone) or {})
        for i in range(arguments.runs):
            mode, number = list(MODES)[i % len(MODES)], SIGNALS[i // len(MODES) % len(SIGNALS)]
            folder = Path(top, f"run-{i}")
            project(folder)
            delay = rng.uniform(0.2, 1.2) * seconds * (2 if mode == "two workers" else 1)
            wrong = one(folder, mode, number, delay)
            document = None if "the report is invalid" in wrong else read(folder)
            some = document is not None and bool(document["items"])
            with_items += some
            wrong |= resumed(folder, whole) if some else set()
            bad.update(wrong)
            for said in wrong:
                print(f"run {i}, {mode}, {number.name} after {delay:.2f} s: {said}", flush=True)
    print(f"{arguments.runs} runs killed, {with_items} of them with items in the report")
    for said, count in bad.items():
        print(f"  {said}: {count}")
    if not bad:
        print("  every report whole, nothing left, every run resumed to the same results")
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
