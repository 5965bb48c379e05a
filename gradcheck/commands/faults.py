"""Plant the registered faults one by one and say which check caught which. Exit status 1 when one
is missed, or its case fails without it."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from fnmatch import fnmatch

from gradcheck.commands import Mistake
from gradcheck.commands.common import add_plugin_folder, registry_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="faults by name or pattern (default: all)"
    )
    parser.add_argument("--check", default=None, help="only the faults that this check must see")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="what was said of each fault")


def run(arguments: argparse.Namespace) -> int:
    from gradcheck.planted import Outcome, Planting

    registry = registry_of(arguments)
    every = list(registry.entries("fault"))
    chosen = [
        e
        for e in every
        if (not arguments.names or any(fnmatch(e.name, n) for n in arguments.names))
        and arguments.check in (None, e.extra["check"])
    ]
    if not chosen:
        known = ", ".join(e.name for e in every[:8]) or "none is registered"
        raise Mistake(f"no fault is called like that; there are: {known}")
    planting = Planting(registry)
    outcomes: list[Outcome] = []
    for entry in chosen:
        started = time.perf_counter()
        outcome = planting.run(entry)
        outcomes.append(outcome)
        if not arguments.json:
            print(_line(outcome, time.perf_counter() - started, arguments.verbose), flush=True)
    counts = Counter(o.verdict for o in outcomes)
    if arguments.json:
        rows = [
            {"name": o.name, "check": o.check, "verdict": o.verdict, "text": o.text}
            for o in outcomes
        ]
        print(json.dumps({"faults": rows, "counts": dict(counts)}, indent=2))
    else:
        rest = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if verdict != "caught")
        print(f"{counts['caught']} of {len(outcomes)} caught" + (f", {rest}" if rest else ""))
    bad = sum(counts[verdict] for verdict in ("missed", "misnamed", "false alarm"))
    return 1 if bad else 0


def _line(outcome: object, seconds: float, verbose: bool) -> str:
    from gradcheck.planted import Outcome

    assert isinstance(outcome, Outcome)
    caught = outcome.verdict == "caught"
    shown = outcome.verdict if caught else outcome.verdict.upper()
    line = f"{outcome.name:<36} {outcome.check:<19} {shown}  {seconds:.2f} s"
    return line if caught and not verbose else f"{line}\n    {outcome.text}"
