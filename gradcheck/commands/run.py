"""Run the cases of a file without pytest: FILE, FILE::CASE or FILE::CASE::CHECK. The exit status is
1 if a check fails, 2 if the file has errors or nothing matches."""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from gradcheck.commands import Mistake
from gradcheck.commands.common import add_plugin_folder, registry_of

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry
    from gradcheck.yamlcases.case import Case


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument("target", metavar="FILE[::CASE[::CHECK]]")
    parser.add_argument(
        "--seed", type=int, default=None, help="seed to use instead of the cases' own"
    )
    parser.add_argument(
        "--judge-all",
        action="store_true",
        help="judge every check, also those whose failure another check of the case explains",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="list every tensor of a failure"
    )


def run(arguments: argparse.Namespace) -> int:
    from gradcheck.yamlcases.load import load_cases

    file, _, rest = arguments.target.partition("::")
    wanted_case, _, wanted_check = rest.partition("::")
    path = Path(file)
    if not path.is_file():
        raise Mistake(f"{file}: file not found; name a YAML file of cases")
    registry = registry_of(arguments)
    loaded = load_cases(path, registry, Path.cwd())
    for error in loaded.errors:
        print(error)
    selected = [
        (case, check)
        for case in loaded.cases
        for check in case.checks
        if wanted_case in ("", case.name) and wanted_check in ("", check)
    ]
    if not selected:
        _nothing(arguments.target, loaded.cases, bool(loaded.errors))
        return 2
    chosen: dict[str, list[str]] = {}
    for case, check in selected:
        chosen.setdefault(case.name, []).append(check)
    outcomes = [_run_one(c, check, registry, arguments, chosen[c.name]) for c, check in selected]
    summary = {o: outcomes.count(o) for o in ("failed", "passed", "skipped", "xfailed")}
    print(", ".join(f"{n} {outcome}" for outcome, n in summary.items() if n))
    return 2 if loaded.errors else 1 if "failed" in outcomes else 0


def _nothing(target: str, cases: tuple[Case, ...], has_errors: bool) -> None:
    names = ", ".join(f"{c.name} ({', '.join(c.checks)})" for c in cases[:8])
    if names:
        raise Mistake(f"{target} matches no case; the file has: {names}")
    if not has_errors:
        raise Mistake(f"{target} has no cases; write one under `cases:`")


def _run_one(
    case: Case,
    check: str,
    registry: Registry,
    arguments: argparse.Namespace,
    others: Collection[str],
) -> str:
    from gradcheck.engine import entry_of, run_check
    from gradcheck.report.judge import judge

    title = f"{case.place.file}::{case.name}::{check}"
    reason = case.skip_reason()
    if reason is not None:
        print(f"{title}  skipped: {reason}")
        return "skipped"
    started = time.perf_counter()
    others = () if arguments.judge_all else others
    result = run_check(case, check, registry, seed=arguments.seed, others=others)
    seconds = time.perf_counter() - started
    seed = case.seed if arguments.seed is None else arguments.seed
    expected = [x for x in case.xfail if x.check == check]
    entry = judge(entry_of(case, check, seed=seed), result, expected, verbose=arguments.verbose)
    if entry.text is not None:
        print(entry.text)
    else:
        why = f": {entry.reason}" if entry.outcome == "skipped" else ""
        print(f"{title}  {entry.outcome}{why}  {seconds:.2f} s")
    return entry.outcome
