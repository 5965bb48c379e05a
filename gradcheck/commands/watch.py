"""Run a training script as it is, in tinytorch or PyTorch, and diagnose it: is the graph cut, are
the gradients right, does everything move, is the learning rate right. Nothing of yours is changed
or written to. The exit status is 0 if nothing was found, 1 if something was, 2 if the script could
not be looked at."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from gradcheck.commands import Mistake

if TYPE_CHECKING:
    from gradcheck.watch.run import Wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "python -m gradcheck watch [options] SCRIPT [its arguments]"
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is a module's name")
    parser.add_argument(
        "--steps", type=int, default=40, help="steps of each learning rate (default: 40)"
    )
    parser.add_argument(
        "--rates", default="", metavar="R,R", help="rates to try (default: multiples of its own)"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="longest time of one trial (default: 60)"
    )
    parser.add_argument(
        "--checks",
        default="",
        metavar="C,C",
        help="what to look at: data, graph, gradient, updates, rate (default: all)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write a JSON report")
    parser.add_argument("--html", metavar="FILE", help="also write an HTML report")
    parser.add_argument(
        "--write-case",
        metavar="FILE",
        help="also write a pytest file that watches the script again, to keep it free of findings",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show all lines")
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the script's own arguments")


def run(arguments: argparse.Namespace) -> int:
    import os

    from gradcheck.report.jsonfile import document
    from gradcheck.watch.report import entries_of
    from gradcheck.watch.run import watch
    from gradcheck.watch.text import text_of

    wanted = wanted_of(arguments)
    if arguments.write_case and os.path.exists(arguments.write_case):
        raise Mistake(f"{arguments.write_case}: this file exists already; choose another name")
    terminal = sys.stderr.isatty()

    def say(text: str) -> None:
        if terminal:
            print(f"\r\x1b[Kgradcheck: {text} ...", end="", file=sys.stderr, flush=True)

    seen = watch(wanted, say)
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print(text_of(seen, wanted, verbose=arguments.verbose))
    if arguments.write_case:
        keep(arguments.write_case, wanted)
    if arguments.json or arguments.html:
        write_reports(arguments, document(entries_of(seen, wanted)))
    return 1 if seen.findings else 0 if seen.could and seen.problem is None else 2


def keep(file: str, wanted: Wanted) -> None:
    """Write the test."""
    from pathlib import Path

    from gradcheck.watch.keep import test_of

    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(test_of(wanted, path), encoding="utf-8")
    print(f"wrote {file}; run it:  pytest {file}")


def write_reports(arguments: argparse.Namespace, report: dict[str, Any]) -> None:
    """The files that were asked for."""
    from pathlib import Path

    from gradcheck.report import html
    from gradcheck.report.jsonfile import dumps

    if arguments.json:
        Path(arguments.json).write_bytes(dumps(report))
    if arguments.html:
        html.write(Path(arguments.html), report)


def wanted_of(arguments: argparse.Namespace) -> Wanted:
    import os

    from gradcheck.phrases import did_you_mean
    from gradcheck.watch.run import CHECKS, Wanted

    if not arguments.module and not os.path.isfile(arguments.script):
        raise Mistake(f"{arguments.script}: file not found; name the script that trains")
    try:
        rates = tuple(float(r) for r in arguments.rates.split(",") if r)
    except ValueError:
        raise Mistake(
            f"--rates {arguments.rates}: write numbers, as in --rates 1e-3,1e-2"
        ) from None
    if arguments.steps < 5:
        raise Mistake(f"--steps {arguments.steps}: at least 5 steps are needed to compare losses")
    checks = tuple(c for c in arguments.checks.split(",") if c) or CHECKS
    for check in checks:
        if check not in CHECKS:
            hint = did_you_mean(check, CHECKS, f"there are {', '.join(CHECKS)}")
            raise Mistake(f"--checks {check}: there is no such check; {hint}")
    return Wanted(
        checks=checks,
        script=arguments.script,
        arguments=tuple(arguments.arguments),
        module=arguments.module,
        steps=arguments.steps,
        rates=rates,
        seconds=arguments.seconds,
    )
