"""What the gradient check sees, and what it costs, against torch, jax and MyGrad.

    python benchmarks/gradient.py                 # everything, as tables
    python benchmarks/gradient.py --only speed    # one part: seen, alarms, speed, large, scaling
    python benchmarks/gradient.py --json figures.json

Every contestant runs in a process of its own, one after the other: idle threads of one library spin
against another's. A peer that is not installed is left out, with the reason. The model is a
transformer of 26,752 parameters: 2 layers, width 32, 4 heads, vocabulary 16, sequence 8, batch 2.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def contestant(name: str, job: str, *args: Any) -> Any:
    """Run `job` of one contestant in a process of its own; its JSON, or {'missing': why}."""
    command = [sys.executable, str(HERE / "contestants.py"), name, job, *map(str, args)]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # Kernels that a machine forces on numpy's BLAS for the sake of other programs slow it down.
    forced = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {name: value for name, value in os.environ.items() if name not in forced}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**kept, **threads}, check=False
    )
    if done.returncode != 0:
        return {"missing": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    print(f"\n{title}")
    for row in [head, ["-" * w for w in widths], *rows]:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())
    sys.stdout.flush()


def number(value: Any) -> str:
    return "none" if value is None else f"{value:.3g}"


def seen(figures: dict[str, Any]) -> None:
    """The smallest error that each contestant sees; below, why one has no figure."""
    subjects = ("sin", "softmax", "mean", "transformer")
    names = ("gradcheck", "torch_slow", "torch_fast", "jax", "mygrad")
    rows, reasons, outside = [], [], {}
    for name in names:
        cells = [name]
        for subject in subjects:
            found = contestant(name, "seen", subject)
            figures[f"seen {name} {subject}"] = found
            absent = next((k for k in ("missing", "not run") if k in found), None)
            if absent is None:
                cells.append(number(found["smallest"]))
                outside.update(found.get("outside any op", {}))
                continue
            cells.append("not run")
            reason = f"{name}: {found[absent]}"
            if reason not in reasons:
                reasons.append(reason)
        rows.append(cells)
    table(
        "Smallest relative error seen in every sampled entry of median size or above (must 1e-6)",
        ["", *subjects],
        rows,
    )
    for reason in reasons:
        print("  not run,", reason)
    if outside:
        table(
            "gradcheck, transformer: smallest error seen that arises outside every op (end to end)",
            ["tensor", "entries", "seen"],
            [[n, str(o["entries"]), number(o["smallest"])] for n, o in outside.items()],
        )


def alarms(figures: dict[str, Any], count: int) -> None:
    found = contestant("gradcheck", "alarms", count)
    figures["alarms"] = found
    rows = [[kind, str(n), str(found["alarms"].get(kind, 0))] for kind, n in found["cases"].items()]
    rows.append(["all", str(sum(found["cases"].values())), str(sum(found["alarms"].values()))])
    table("False alarms on correct cases (must 0)", ["kind", "cases", "alarms"], rows)
    for line in found["examples"]:
        print("   ", line)


def speed(figures: dict[str, Any], rounds: int) -> None:
    """Paired rounds: each contestant once a round, ratios within a round, their median."""
    mine = ("certificate", "directions", "exhaustive", "complex", "failing")
    runs: dict[str, list[float]] = {}
    extra: dict[str, Any] = {}
    for number_of_round in range(rounds):
        order = [("gradcheck", job) for job in mine]
        order += [("torch_fast", "certificate"), ("torch_slow", "certificate")]
        for name, job in order[::-1] if number_of_round % 2 else order:
            found = contestant(name, "speed", job)
            if "missing" in found:
                print(name, job, found["missing"])
                continue
            runs.setdefault(f"{name} {job}", []).append(found["seconds"])
            extra[f"{name} {job}"] = found

    def ratio(a: str, b: str) -> float | None:
        pairs = [x / y for x, y in zip(runs.get(a, []), runs.get(b, []))]
        return statistics.median(pairs) if pairs else None

    rows = []
    for job, against, must in (
        ("certificate", "torch_slow certificate", "100"),
        ("exhaustive", "torch_slow certificate", "10"),
        ("complex", "torch_slow certificate", "5"),
        ("directions", "torch_fast certificate", "2"),
    ):
        key = f"gradcheck {job}"
        found = ratio(against, key)
        figures[f"speed {job}"] = {"seconds": runs.get(key), "times faster": found}
        rows.append(
            [job, number(statistics.median(runs[key])), against.split()[0], number(found), must]
        )
    slower = ratio("gradcheck failing", "gradcheck certificate")
    figures["speed failing"] = slower
    rows.append(
        [
            "failing check",
            number(statistics.median(runs["gradcheck failing"])),
            "passing (at most 2)",
            number(slower),
            "",
        ]
    )
    for name in ("torch_slow", "torch_fast"):
        if f"{name} certificate" in runs:
            seconds = statistics.median(runs[f"{name} certificate"])
            figures[f"speed {name}"] = runs[f"{name} certificate"]
            rows.append([name, number(seconds), "", "", ""])
    table(
        f"Transformer of 26,752 parameters, median of {rounds} rounds",
        ["job", "seconds", "against", "times faster", "must"],
        rows,
    )
    for job in ("exhaustive", "complex"):
        found = extra.get(f"gradcheck {job}", {})
        figures[f"error {job}"] = found.get("error")
        print(f"  largest error of {job}: {number(found.get('error'))} ({found.get('kind')})")


def large(figures: dict[str, Any]) -> None:
    found = contestant("gradcheck", "large")
    figures["large"] = found
    rows = [[k, number(v)] for k, v in found.items()]
    table("End-to-end directions, GPT of 4.8M parameters (must 2 s, goal 1 s)", ["", ""], rows)


def scaling(figures: dict[str, Any]) -> None:
    found = contestant("gradcheck", "scaling")
    figures["scaling"] = found
    rows = [[str(n), number(s)] for n, s in zip(found["parameters"], found["seconds"])]
    rows.append(["exponent", number(found["exponent"])])
    table("Cost against parameters (exponent must be at most 1.1)", ["parameters", "seconds"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["seen", "alarms", "speed", "large", "scaling"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    figures: dict[str, Any] = {}
    started = time.time()
    parts = {
        "speed": lambda: speed(figures, chosen.rounds),
        "large": lambda: large(figures),
        "scaling": lambda: scaling(figures),
        "seen": lambda: seen(figures),
        "alarms": lambda: alarms(figures, chosen.cases),
    }
    for name, part in parts.items():
        if chosen.only in (None, name):
            part()
    print(f"\n{time.time() - started:.0f} s in all")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
