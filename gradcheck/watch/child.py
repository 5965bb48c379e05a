"""The process in which the script runs: `python -m gradcheck.watch.child SPEC`."""

from __future__ import annotations

import inspect
import os
import runpy
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gradcheck.frameworks.protocol import Framework, WatchesTraining
from gradcheck.names import load as plugins
from gradcheck.phrases import one_line
from gradcheck.result import Finding, plain
from gradcheck.source.line import Line
from gradcheck.watch import findings
from gradcheck.watch.imports import when_imported
from gradcheck.watch.look import Diary, Look
from gradcheck.watch.places import is_adapters, is_users
from gradcheck.watch.scratch import Scratch
from gradcheck.watch.session import Session, save
from gradcheck.watch.spec import spec_of
from gradcheck.watch.trial import TrialRun


def main(path: str) -> None:
    """Run the script to the end of what is to be seen of it."""
    spec = spec_of(path)
    scratch = Scratch(Path(spec.scratch))
    registry = plugins.load([Path(folder) for folder in spec.plugins])
    session = Session(spec, lambda s: _mode(s, scratch))
    session.failures = list(registry.failures)
    stack = ExitStack()

    def watch(name: str) -> None:
        framework: Framework = registry.framework(name)
        if isinstance(framework, WatchesTraining):
            is_adapters(inspect.getfile(type(framework)))
            framework.manual_seed(spec.seed)
            stack.enter_context(framework.watch_training(session.listener(framework)))
            if isinstance(session.mode, TrialRun):
                session.mode.begin(framework)

    for entry in registry.entries("framework"):
        module = entry.extra.get("module")
        if module is not None:
            when_imported(module, lambda name=entry.name: watch(name))  # type: ignore[misc]
    _seed(spec.seed)
    scratch.install()
    sys.argv = [spec.script, *spec.arguments]
    try:
        if spec.module:
            sys.path.insert(0, os.getcwd())
            runpy.run_module(spec.script, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(spec.script)))
            runpy.run_path(spec.script, run_name="__main__")
    except SystemExit as error:
        status = "" if error.code in (None, 0) else f" with status {error.code}"
        session.mode.ended(f"exited{status}", None)
    except KeyboardInterrupt:
        session.mode.ended("interrupted", None)
    except BaseException as error:
        traceback.print_exc()
        session.mode.ended(f"{type(error).__name__}: {one_line(error)}", _line_of(error))
    else:
        session.mode.ended("ended", None)


def _mode(session: Session, scratch: Scratch) -> Any:
    if session.spec.trial is not None:
        return TrialRun(session, session.spec.trial)
    return Look(session, lambda *said: report(scratch, *said))


def _seed(seed: int) -> None:
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed)


def _line_of(error: BaseException) -> str | None:
    """The innermost line of the user's that led to an error."""
    if isinstance(error, SyntaxError) and error.filename:
        return str(Line(error.filename, error.lineno or 1))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_users(f.filename)]
    return str(Line(frames[-1].filename, frames[-1].lineno or 1)) if frames else None


def report(scratch: Scratch, session: Session, diary: Diary, how: str, where: str | None) -> None:
    """Write what was seen, first without and then with the proof of the ops, and end."""
    values = findings.facts(session, diary)
    values |= {
        "how": how,
        "where": where,
        "split": session.split,
        "written": scratch.written,
        "complete": False,
        "failures": session.failures,
    }
    found: list[Finding] = values["findings"]
    save(session.spec.report, plain(values | {"findings": [f.to_json() for f in found]}))
    try:
        found = [*found, *findings.of_probes(diary)]
        if session.spec.proof:
            found = [*found, *findings.of_gradients(diary, values)]
    except Exception as error:  # what was seen so far stands
        values["notes"].append(f"not everything could be checked: {one_line(error)}")
    values |= {"findings": [f.to_json() for f in found], "complete": True}
    save(session.spec.report, plain(values))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
