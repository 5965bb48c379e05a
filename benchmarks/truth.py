"""Is what gradcheck says true, on programs that nobody of this project wrote.

    python benchmarks/truth.py                      # everything, as a table
    python benchmarks/truth.py --only opinfo        # opinfo, layers, seeds
    python benchmarks/truth.py --share 1/20         # every 20th subject: what CI runs
    python benchmarks/truth.py --json truth.json

An alarm counts against us where torch.autograd.gradcheck passes and no reason is listed beside the
subject (`DESERVED`): there the finding is true, and torch does not see it. Each part runs in a
process of its own; a process that dies is counted. Exit status 1 when there is an alarm.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "benchmarks")

from truth import layers, opinfo  # noqa: E402

PARTS = ("opinfo", "layers", "seeds")


def perform(part: str, share: tuple[int, int], seeds: int, samples: int) -> None:
    """Print the rows of a part, a line of JSON each, after the name of what is being looked at."""
    if part == "opinfo":
        found = opinfo.rows(samples, share)
    else:
        found = layers.rows(seeds)
    for number, row in enumerate(found):
        if part == "opinfo" or number % share[1] == share[0]:
            print(json.dumps(dataclasses.asdict(row)), flush=True)


def run_part(part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--perform", part, "--share", arguments.share]
    command += ["--samples", str(arguments.samples), "--seeds", str(arguments.seeds)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 and not rows:
        return {"missing": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    deserved = opinfo.DESERVED if part == "opinfo" else layers.DESERVED
    red = [r for r in rows if r["outcome"] in ("failed", "raised")]
    op = {id(r): r["name"].partition(" ")[0] for r in red}
    alarms = [r for r in red if r["peer"] == "pass" and op[id(r)] not in deserved]
    return {
        "subjects": len({r["name"].partition(" ")[0] for r in rows}),
        "runs": len(rows),
        "passed": sum(r["outcome"] == "passed" for r in rows),
        "both_red": sum(r["peer"] != "pass" for r in red),
        "deserved": [r for r in red if op[id(r)] in deserved and r["peer"] == "pass"],
        "alarms": alarms,
        "deaths": int(done.returncode < 0),
        "seconds": time.perf_counter() - start,
    }


def seeds_of_the_suite(seeds: int) -> dict[str, Any]:
    """The shipped cases with many seeds: outcomes that differ from those of seed 0."""
    start = time.perf_counter()
    outcomes: list[dict[str, str]] = []
    for seed in range(seeds):
        report = ROOT / "build" / f"truth-{seed}.json"
        report.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "--gradcheck"]
        command += [f"--gradcheck-seed={seed}", f"--gradcheck-json={report}"]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        items = json.loads(report.read_text("utf-8"))["items"]
        outcomes.append({i["nodeid"]: i["outcome"] for i in items})
        report.unlink()
    differing = [
        {"name": f"{name} seed {seed}", "outcome": now[name], "said": f"{first} with seed 0"}
        for seed, now in enumerate(outcomes)
        for name, first in outcomes[0].items()
        if now.get(name) != first
    ]
    return {
        "subjects": len(outcomes[0]),
        "runs": sum(map(len, outcomes)),
        "alarms": differing,
        "deaths": 0,
        "seconds": time.perf_counter() - start,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--share", default="0/1", help="K/N: every N-th subject from the K-th on")
    parser.add_argument("--samples", type=int, default=3, help="of each op in opinfo")
    parser.add_argument("--seeds", type=int, default=2, help="of each layer, and of the suite")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--perform", choices=PARTS[:2], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    first, _, each = arguments.share.partition("/")
    share = (int(first) % int(each), int(each))
    if arguments.perform:
        perform(arguments.perform, share, arguments.seeds, arguments.samples)
        return 0
    told = {}
    for part in arguments.only or PARTS:
        got = seeds_of_the_suite(arguments.seeds) if part == "seeds" else run_part(part, arguments)
        told[part] = got
        if "missing" in got:
            print(f"{part}: not run: {got['missing']}")
            continue
        print(
            f"{part}: {got['subjects']} subjects, {got['runs']} runs, {len(got['alarms'])} alarms, "
            f"{got['deaths']} deaths, {got['seconds']:.0f} s"
        )
        for row in got["alarms"]:
            print(f"  ALARM {row['name']}: {row['said'][:160]}")
        for row in got.get("deserved", ()):
            print(f"  deserved {row['name']}: {row['said'][:120]}")
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1), "utf-8")
    return int(any(got.get("alarms") or got.get("deaths") for got in told.values()))


if __name__ == "__main__":
    sys.exit(main())
