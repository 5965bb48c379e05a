"""Wrong gradients that shipped: red on the version with the bug, green where it is right.

    python benchmarks/museum.py                     # every exhibit, as a table
    python benchmarks/museum.py pypose_adjt         # one
    python benchmarks/museum.py --json museum.json

Each package is installed from PyPI into a folder of its own (`--cache`), without its dependencies,
and each side of an exhibit runs in a process of its own. An exhibit that cannot be installed is
skipped, and said to be. Beside our verdict stands that of torch.autograd.gradcheck with its
own tolerances. Exit status 1 unless every exhibit that ran is red, names the function, and is green
where it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE)

from museum.exhibits import EXHIBITS, Exhibit  # noqa: E402

SIDES = ("shipped", "right")


def install(pin: str, cache: Path) -> Path:
    """The folder that holds the package of `pin`. Raises RuntimeError with pip's last line."""
    folder = cache / pin.replace("==", "-")
    done = folder / ".installed"
    if not done.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
        run = subprocess.run(
            [*command, "--target", str(folder), pin], capture_output=True, text=True
        )
        if run.returncode:
            last = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RuntimeError(f"{pin} cannot be installed: {last}")
        done.touch()
    return folder


def shown(exhibit: Exhibit, side: str, cache: Path, seed: int, limit: float) -> dict[str, Any]:
    """What one side of an exhibit shows."""
    pins = exhibit.mended if side == "right" and exhibit.mended else exhibit.shipped
    folders = [str(install(pin, cache)) for pin in pins]
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    program = "shipped" if exhibit.mended else side
    run = subprocess.run(
        [sys.executable, str(HERE / "museum" / "show.py"), exhibit.name, program, str(seed)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=limit,
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if not lines:
        last = (run.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        return {"outcome": f"died ({run.returncode})", "said": last}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def named(exhibit: Exhibit, found: dict[str, Any]) -> bool:
    """Whether the finding names the function at fault."""
    return any(f["op"] == exhibit.op for f in found.get("findings", []))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exhibits", nargs="*", help="names; all if none is given")
    parser.add_argument("--cache", type=Path, default=None, help="folder for the packages")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one side")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    known = {e.name for e in EXHIBITS}
    if not set(arguments.exhibits) <= known:
        parser.error(f"there is no such exhibit; there are: {', '.join(sorted(known))}")
    cache = arguments.cache or Path(tempfile.gettempdir()) / "gradcheck-museum"
    rows, bad = [], 0
    print(f"{'exhibit':24} {'shipped':8} {'named':6} {'right':8} {'torch says':18} finding")
    for exhibit in EXHIBITS:
        if arguments.exhibits and exhibit.name not in arguments.exhibits:
            continue
        for seed in range(arguments.seeds):
            try:
                sides = {s: shown(exhibit, s, cache, seed, arguments.limit) for s in SIDES}
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"{exhibit.name:24} skipped: {error}", flush=True)
                rows.append({"name": exhibit.name, "skipped": str(error)})
                break
            ours = [sides[s]["outcome"] for s in SIDES]
            theirs = "/".join(sides[s].get("torch", "-") for s in SIDES)
            good = ours == ["failed", "passed"] and named(exhibit, sides["shipped"])
            bad += not good
            first = next(iter(sides["shipped"].get("findings", [])), {"message": ""})
            print(
                f"{exhibit.name:24} {ours[0]:8} {named(exhibit, sides['shipped'])!s:6} "
                f"{ours[1]:8} {theirs:18} {first['message'] or sides['shipped'].get('said', '')}",
                flush=True,
            )
            rows.append({"name": exhibit.name, "seed": seed, "good": good, **sides})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
