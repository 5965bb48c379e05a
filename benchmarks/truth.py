"""Is what gradcheck says true, on programs that nobody of this project wrote.

    python benchmarks/truth.py                      # everything, as a table
    python benchmarks/truth.py --only opinfo    # opinfo, layers, programs, models, solvers, seeds
    python benchmarks/truth.py --share 1/20         # every 20th subject: what CI runs
    python benchmarks/truth.py --json truth.json

An alarm counts against us where torch.autograd.gradcheck passes and no reason is listed beside the
subject (`DESERVED`): there the finding is true, and torch does not see it. Each part runs in a
process of its own; a process that dies is counted, and a part that stops halfway is not run. Exit
status 1 when there is an alarm, a death, or a part that was not run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "benchmarks")

from truth import layers, opinfo, unusual  # noqa: E402
from truth.rows import Row  # noqa: E402

PARTS = ("opinfo", "layers", "programs", "models", "solvers", "seeds")
SHARED = ("opinfo", "programs", "models", "solvers")
"""Parts that take their share themselves, so that what is left out is not run."""


def perform(
    part: str, share: tuple[int, int], seeds: int, samples: int, programs_seeds: int
) -> None:
    """Print the rows of a part, a line of JSON each."""
    if part == "opinfo":
        found = opinfo.rows(samples, share)
    elif part == "models":
        found = unusual.rows_of_models(programs_seeds, share)
    elif part in ("programs", "solvers"):
        found = unusual.rows(part, programs_seeds, share)
    else:
        found = layers.rows(seeds)
    for number, row in enumerate(found):
        if part in SHARED or number % share[1] == share[0]:
            print(json.dumps(dataclasses.asdict(row)), flush=True)


def run_part(part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--perform", part, "--share", arguments.share]
    command += ["--samples", str(arguments.samples), "--seeds", str(arguments.seeds)]
    command += ["--program-seeds", str(arguments.program_seeds)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [Row(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode > 0:  # half of a part says nothing of the other half
        return {"missing": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    known = {"opinfo": opinfo.DESERVED, "layers": layers.DESERVED}.get(part, unusual.DESERVED)
    accused = [r for r in rows if r.accused]
    return {
        "subjects": len({r.of for r in rows}),
        "runs": len(rows),
        "deserved": [dataclasses.asdict(r) for r in accused if r.of in known],
        "alarms": [dataclasses.asdict(r) for r in accused if r.of not in known],
        "deaths": int(done.returncode < 0),
        "seconds": time.perf_counter() - start,
    }


def seeds_of_the_suite(seeds: int) -> dict[str, Any]:
    """The shipped cases with many seeds: outcomes that differ from those of seed 0."""
    start = time.perf_counter()
    outcomes: list[dict[str, str]] = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [sys.executable, "-m", "pytest", "-q", "--gradcheck"]
            command += [f"--gradcheck-seed={seed}", f"--gradcheck-json={report}"]
            subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
            items = json.loads(report.read_text("utf-8"))["items"]
        outcomes.append({i["nodeid"]: i["outcome"] for i in items})
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
    parser.add_argument("--program-seeds", type=int, default=20, help="of each program")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--perform", choices=PARTS[:-1], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    first, _, each = arguments.share.partition("/")
    share = (int(first) % int(each), int(each))
    if arguments.perform:
        given = arguments
        perform(given.perform, share, given.seeds, given.samples, given.program_seeds)
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
    return int(any(g.keys() & {"missing"} or g["alarms"] or g["deaths"] for g in told.values()))


if __name__ == "__main__":
    sys.exit(main())
