"""The child process: makes the registry once, then runs the checks that it is told to.

It writes one line of JSON for each step to what was its stdout: `ready`, `started`, and `result` or
`raised`. What the subject prints goes to files. When its stdin ends, so does the process.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import queue
import sys
import threading
import traceback
from typing import Any

from gradcheck.guard.state import left_running
from gradcheck.isolation.job import CannotIsolate, Job, Setup, unpacked

DUMPED = 1.0
"""Seconds after the limit when the place is written down: Python itself could not stop there."""


def main(out: str, dump: str) -> None:
    """out: the file that gets what the subject prints. dump: the file for faulthandler."""
    pid = os.getpid()
    replies = open(os.dup(1), "wb", buffering=0)  # noqa: SIM115 - open to the end of the process
    printed = os.open(out, os.O_WRONLY | os.O_APPEND)
    os.dup2(printed, 1)
    dumps = open(dump, "ab", buffering=0)  # noqa: SIM115
    faulthandler.enable(dumps)

    def reply(**values: Any) -> None:
        if os.getpid() != pid:  # a fork of the subject's that was left to run on
            os._exit(1)
        sys.stdout.flush()
        sys.stderr.flush()
        replies.write(json.dumps(values).encode() + b"\n")

    lines: queue.Queue[bytes] = queue.Queue()
    stdin, sys.stdin = sys.stdin.buffer, open(os.devnull)  # noqa: SIM115
    threading.Thread(target=_read, args=(stdin, lines), daemon=True).start()
    setup = unpacked(lines.get())
    assert isinstance(setup, Setup)
    try:
        registry = _registry(setup)
    except CannotIsolate as error:
        reply(step="refused", text=str(error))
        os._exit(1)  # the thread reads stdin, and Python aborts where it finds one that does
    except BaseException:
        reply(step="raised", text=traceback.format_exc())
        os._exit(1)
    reply(step="ready")
    while True:
        job = unpacked(lines.get())
        assert isinstance(job, Job)
        _run(job, registry, reply, dumps)


def _read(stdin: Any, lines: queue.Queue[bytes]) -> None:
    """A thread of its own sees the end of stdin: then the run is over, or was killed."""
    for line in stdin:
        lines.put(line)
    os._exit(0)


def _run(job: Job, registry: Any, reply: Any, dumps: Any) -> None:
    from gradcheck.isolation.timed import limit_of, run_timed

    limit = limit_of(job.case, job.default)
    reply(step="started")
    if limit is not None:
        faulthandler.dump_traceback_later(limit + DUMPED, file=dumps)
    before = set(threading.enumerate())
    try:
        result = run_timed(
            job.case,
            job.check,
            registry,
            seed=job.seed,
            default=job.default,
            others=job.others,
        )
        said = json.dumps(result.to_json())
    except BaseException:  # gradcheck's own mistake, or a check's: shown as in any other run
        reply(step="raised", text=traceback.format_exc())
        return
    finally:
        faulthandler.cancel_dump_traceback_later()
    spoiled = bool(left_running(before)) or any(
        finding.code == "replaced_function" for finding in result.findings
    )
    reply(step="result", result=json.loads(said), spoiled=spoiled)


def _registry(setup: Setup) -> Any:
    from gradcheck.names.load import load
    from gradcheck.names.register import Register

    if setup.threads is not None:
        from gradcheck.numerics.core.threads import share_cores

        share_cores(setup.threads)
    registry = load(setup.plugin_folders)
    for name, file in setup.conftests:
        ask_conftest(name, file, Register(registry, "conftest"))
    return registry


def ask_conftest(name: str, file: str, register: Any) -> None:
    """Import a conftest file without pytest and call its hook."""
    module = sys.modules.get(name)
    if module is None or getattr(module, "__file__", None) != file:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    hook = module.pytest_gradcheck_configure
    wanted = hook.__code__.co_varnames[: hook.__code__.co_argcount]
    if "config" in wanted:
        raise CannotIsolate(
            f"{file}: pytest_gradcheck_configure takes `config`, and a child process has none; "
            "take `register` alone, or run the case without isolation"
        )
    hook(**{"register": register} if "register" in wanted else {})
