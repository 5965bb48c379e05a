"""Plant known faults one by one and report which check caught which.

The faults are those of the shipped catalogue (`gradcheck.plugins._faults`) and those that plugins
register. The exit status is 1 when a check misses one or fails without it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections import Counter
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from gradcheck.commands import Mistake
from gradcheck.commands.common import add_plugin_folder, registry_of

if TYPE_CHECKING:
    from gradcheck.planted import FaultReport

CATALOGUE = "gradcheck.plugins._faults"
"""A plugin that only this command loads: no ordinary run needs wrong ops and models."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="faults by name or pattern (default: all)"
    )
    parser.add_argument(
        "--check", default=None, help="plant only the faults that this check must catch"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show what the check said about each fault"
    )


def run(arguments: argparse.Namespace) -> int:
    from gradcheck.names import bundled
    from gradcheck.planted import Planting

    # The catalogue plants its faults into the bundled framework.
    there = bundled.why_not() is None
    catalogue = [("_faults", importlib.import_module(CATALOGUE))] if there else []
    registry = registry_of(arguments, catalogue)
    every = list(registry.entries("fault"))
    chosen = [
        e
        for e in every
        if (not arguments.names or any(fnmatch(e.name, n) for n in arguments.names))
        and arguments.check in (None, e.extra["check"])
    ]
    if not chosen:
        known = ", ".join(e.name for e in every[:8]) or "none is registered"
        raise Mistake(f"no fault has this name; some of the known ones: {known}")
    planting = Planting(registry)
    reports: list[FaultReport] = []
    for entry in chosen:
        started = time.perf_counter()
        report = planting.run(entry)
        reports.append(report)
        if not arguments.json:
            print(_line(report, time.perf_counter() - started, arguments.verbose), flush=True)
    counts = Counter(o.verdict for o in reports)
    if arguments.json:
        rows = [
            {"name": o.name, "check": o.check, "verdict": o.verdict, "text": o.text}
            for o in reports
        ]
        print(json.dumps({"faults": rows, "counts": dict(counts)}, indent=2))
    else:
        rest = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if verdict != "caught")
        print(f"{counts['caught']} of {len(reports)} caught" + (f", {rest}" if rest else ""))
    bad = sum(counts[verdict] for verdict in ("missed", "misnamed", "false alarm"))
    return 1 if bad else 0


def _line(report: FaultReport, seconds: float, verbose: bool) -> str:
    caught = report.verdict == "caught"
    shown = report.verdict if caught else report.verdict.upper()
    line = f"{report.name:<36} {report.check:<19} {shown}  {seconds:.2f} s"
    return line if caught and not verbose else f"{line}\n    {report.text}"
