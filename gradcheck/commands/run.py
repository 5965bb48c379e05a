"""Run cases without pytest: of a file (FILE, FILE::CASE or FILE::CASE::CHECK), or of every case
file in a folder. The exit status is 1 if a check fails, 2 if a file has errors or nothing
matches."""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradcheck.commands import Mistake
from gradcheck.commands.common import add_plugin_folder, registry_of

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry
    from gradcheck.yamlcases.case import Case


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument("target", metavar="FOLDER or FILE[::CASE[::CHECK]]")
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
    paths = _files(Path(file))
    registry = registry_of(arguments)
    loaded = [load_cases(path, registry, Path.cwd()) for path in paths]
    errors = [error for each in loaded for error in each.errors]
    cases = [case for each in loaded for case in each.cases]
    for error in errors:
        print(error)
    selected = [
        (case, check)
        for case in cases
        for check in case.checks
        if wanted_case in ("", case.name) and wanted_check in ("", check)
    ]
    if not selected:
        _nothing(arguments.target, cases, bool(errors))
        return 2
    chosen: dict[tuple[str, str], list[str]] = {}
    for case, check in selected:
        chosen.setdefault((case.place.file, case.name), []).append(check)
    outcomes = [
        _run_one(case, check, registry, arguments, chosen[case.place.file, case.name])
        for case, check in selected
    ]
    summary = {o: outcomes.count(o) for o in ("failed", "passed", "skipped", "xfailed")}
    print(", ".join(f"{n} {outcome}" for outcome, n in summary.items() if n))
    return 2 if errors else 1 if "failed" in outcomes else 0


def _files(path: Path) -> list[Path]:
    """The file, or the case files of a folder. Raises Mistake where there is none."""
    from gradcheck.yamlcases.detect import is_yaml, looks_like_cases

    if path.is_file():
        if not is_yaml(path):
            raise Mistake(
                f"{path}: this is no YAML file of cases; `python -m gradcheck run` takes one, or a "
                "folder of them"
            )
        return [path]
    if not path.is_dir():
        raise Mistake(f"{path}: file not found; name a YAML file of cases")
    found = [
        p for p in sorted(path.rglob("*")) if is_yaml(p) and looks_like_cases(p, in_doubt=False)
    ]
    if not found:
        raise Mistake(f"{path}: no file of cases in this folder; name one that has YAML cases")
    return found


def _nothing(target: str, cases: Sequence[Case], has_errors: bool) -> None:
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
